//! What our guest prints.
