//! SASL exchanges and password schemes; pure.
