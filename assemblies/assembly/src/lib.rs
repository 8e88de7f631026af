//! Manifest to plan to documents.
