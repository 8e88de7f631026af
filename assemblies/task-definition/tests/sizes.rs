//! The table of Fargate sizes.

use task_definition::fargate_sizes::{
    Size, is_supported, parse_cpu, parse_memory, sizes, smallest,
};

#[test]
fn has_the_combinations_of_the_developer_guide() {
    // Per CPU value: the number of memory values, the smallest and the largest.
    let counts: Vec<_> = sizes()
        .iter()
        .map(|row| {
            (
                row.cpu,
                row.memory.len(),
                row.memory[0],
                row.memory[row.memory.len() - 1],
            )
        })
        .collect();

    assert_eq!(
        counts,
        [
            (256, 3, 512, 2048),
            (512, 4, 1024, 4096),
            (1024, 7, 2048, 8192),
            (2048, 13, 4096, 16384),
            (4096, 23, 8192, 30720),
            (8192, 12, 16384, 61440),
            (16384, 12, 32768, 122880),
            (32768, 3, 61440, 249856),
        ]
    );

    assert!(is_supported(Size {
        cpu: 4096,
        memory: 30720
    }));
    assert!(!is_supported(Size {
        cpu: 4096,
        memory: 31744
    }));
    assert!(!is_supported(Size {
        cpu: 256,
        memory: 1536
    }));

    assert!(!is_supported(Size {
        cpu: 32768,
        memory: 131072
    }));
}

#[test]
fn finds_the_smallest_sufficient_size() {
    assert_eq!(
        smallest(0, 0),
        Some(Size {
            cpu: 256,
            memory: 512
        })
    );

    assert_eq!(
        smallest(257, 512),
        Some(Size {
            cpu: 512,
            memory: 1024
        })
    );

    assert_eq!(
        smallest(256, 2049),
        Some(Size {
            cpu: 512,
            memory: 3072
        })
    );

    assert_eq!(
        smallest(4096, 30721),
        Some(Size {
            cpu: 8192,
            memory: 32768
        })
    );

    assert_eq!(
        smallest(32768, 249856),
        Some(Size {
            cpu: 32768,
            memory: 249856
        })
    );

    assert_eq!(smallest(32769, 0), None);
    assert_eq!(smallest(0, 249857), None);
}

#[test]
fn parses_amounts_like_ecs() {
    assert_eq!(parse_cpu("256"), Some(256));
    assert_eq!(parse_cpu(".25 vcpu"), Some(256));
    assert_eq!(parse_cpu("1vCPU"), Some(1024));
    assert_eq!(parse_memory("512"), Some(512));
    assert_eq!(parse_memory(".5 gb"), Some(512));
    assert_eq!(parse_memory("30GB"), Some(30720));
    // `f64::parse` would accept `1e3` and `inf`; 0.3 vCPU is not a whole number of CPU units.
    for text in ["", "x", "1 GB", "-1", "1e3", "0.3 vcpu", "infvcpu"] {
        assert_eq!(parse_cpu(text), None, "{text}");
    }
}
