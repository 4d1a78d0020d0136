//! SPF, DKIM, DMARC, ARC engines over a Resolve trait.
