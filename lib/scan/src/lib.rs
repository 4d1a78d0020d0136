//! Virus scanning: walker, formats, signature matcher.
