//! Rules about the content of images, evaluated where the caller has read them.

crate::rule_modules! {
    mod i01_image_not_read;
    mod i02_nothing_to_run;
    mod i03_program_not_in_image;
    mod i04_probe_not_in_image;
    mod i05_wrong_platform;
    mod i06_port_not_exposed;
    mod i07_unknown_user;
    mod i08_large_image;
}
