//! Makes a picture of a video.
