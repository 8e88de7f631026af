//! Tells the value of the coins in a photo.
