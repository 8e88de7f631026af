//! What must hold of every division, whatever is asked for.

use proptest::prelude::*;
use task_definition::fargate_sizes::{self, sizes};

use super::*;

#[test]
fn divides_all_of_it() {
    assert_eq!(divide(100, &[1, 2, 0], 1), [33, 67, 0]);
    assert_eq!(divide(100, &[0, 0, 0], 1), [0, 0, 0]);
    assert_eq!(divide(5, &[1, 0], 1), [5, 0]);
}

/// Why no price is needed to choose. What a size costs is linear in the two prices, so what holds where
/// memory is free, and where a gigabyte costs as much as four vCPUs, holds between: everywhere, that is
/// (Fargate's gigabyte costs a ninth of a vCPU).
#[test]
fn the_smallest_size_is_the_cheapest_while_a_gigabyte_costs_less_than_four_vcpus() {
    let all = || {
        let rows = sizes().iter();
        rows.flat_map(|row| row.memory.iter().map(|memory| (row.cpu, *memory)))
    };

    for (cpu, memory) in all().flat_map(|(cpu, _)| all().map(move |(_, memory)| (cpu, memory))) {
        let taken = fargate_sizes::smallest(cpu, memory).map(|size| (size.cpu, size.memory));
        let fitting = || all().filter(|one| one.0 >= cpu && one.1 >= memory);
        assert_eq!(taken.is_some(), fitting().next().is_some());

        for gigabyte in [0, 4] {
            let costs = |one: (u32, u32)| u64::from(one.0) + gigabyte * u64::from(one.1);
            let least = fitting().map(costs).min();
            assert_eq!(taken.map(costs), least, "{cpu} CPU units and {memory} MiB");
        }
    }
}

#[test]
fn a_sum_that_is_exactly_a_size_is_held_by_it() {
    let floors = [floor(128, 256, 1), floor(128, 256, 0)];
    let size = size(&TaskSize::default(), sum(&floors)).expect("a size");
    assert_eq!((size.cpu, size.memory), (256, 512));
    let shares = divided(size, &floors, 0);
    assert_eq!(shares[0].memory, 256);
    assert_eq!(shares[0].reservation, 255);
}

#[test]
fn takes_the_largest_size_and_nothing_beyond() {
    let (wanted, most) = (
        TaskSize::default(),
        Size {
            cpu: 32768,
            memory: 249_856,
        },
    );

    assert_eq!(size(&wanted, most), Some(most));
    assert_eq!(
        size(
            &wanted,
            Size {
                cpu: 32769,
                memory: 512
            }
        ),
        None
    );

    assert_eq!(
        size(
            &wanted,
            Size {
                cpu: 256,
                memory: 249_857
            }
        ),
        None
    );

    let unusual = Size {
        cpu: 16385,
        memory: 61441,
    };
    let taken = Size {
        cpu: 32768,
        memory: 122_880,
    };
    assert_eq!(size(&wanted, unusual), Some(taken));
}

fn floor(cpu: u32, memory: u32, weight: u32) -> Floor {
    Floor {
        cpu,
        memory,
        weight,
        cpu_fixed: false,
        memory_fixed: false,
    }
}

prop_compose! {
    fn any_floor()(
        cpu in 1_u32..4000,
        memory in LEAST_MEMORY..26_000,
        weight in 0_u32..6,
        cpu_fixed in any::<bool>(),
        memory_fixed in any::<bool>(),
    ) -> Floor {
        Floor { cpu, memory, weight, cpu_fixed, memory_fixed }
    }
}

fn members() -> impl Strategy<Value = (Vec<Floor>, usize)> {
    let floors = prop::collection::vec(any_floor(), 1..=10);
    (floors, any::<prop::sample::Index>()).prop_map(|(floors, app)| {
        let app = app.index(floors.len());
        (floors, app)
    })
}

fn total(shares: &[Share]) -> Size {
    Size {
        cpu: shares.iter().map(|share| share.cpu).sum(),
        memory: shares.iter().map(|share| share.memory).sum(),
    }
}

/// A vCPU costs about nine times what a gigabyte does.
fn price(size: Size) -> u64 {
    9 * u64::from(size.cpu) + u64::from(size.memory)
}

proptest! {
    #[test]
    fn shares_are_within_the_task_and_above_the_floors((floors, app) in members()) {
        let Some(size) = size(&TaskSize::default(), sum(&floors)) else { return Ok(()) };
        let Size { cpu, memory } = size;
        let sold = fargate_sizes::is_sold(fargate_sizes::Size { cpu, memory });
        prop_assert!(sold);
        let shares = divided(size, &floors, app);
        let total = total(&shares);
        prop_assert!(total.cpu <= size.cpu && total.memory <= size.memory);
        for (share, floor) in shares.iter().zip(&floors) {
            prop_assert!(share.cpu >= floor.cpu && share.memory >= floor.memory);
            prop_assert!(share.reservation < share.memory && share.reservation + 1 >= floor.memory);
            prop_assert!(!floor.cpu_fixed || share.cpu == floor.cpu);
            prop_assert!(!floor.memory_fixed || share.memory == floor.memory);
        }
    }

    #[test]
    fn nothing_is_left_over_when_the_app_may_have_it((mut floors, app) in members()) {
        floors[app] = Floor { weight: 1, cpu_fixed: false, memory_fixed: false, ..floors[app] };
        let Some(size) = size(&TaskSize::default(), sum(&floors)) else { return Ok(()) };
        prop_assert_eq!(total(&divided(size, &floors, app)), size);
    }

    #[test]
    fn no_size_that_fits_is_cheaper((floors, _) in members()) {
        let sum = sum(&floors);
        let Some(taken) = size(&TaskSize::default(), sum) else { return Ok(()) };
        for row in sizes() {
            for memory in row.memory {
                let one = Size { cpu: row.cpu, memory: *memory };
 let fits = one.cpu >= sum.cpu && one.memory >= sum.memory;
 prop_assert!(!fits || price(one) >= price(taken));
            }
        }
    }

    #[test]
    fn asking_for_more_never_makes_the_task_cheaper(
        (mut floors, _) in members(),
        which in any::<prop::sample::Index>(),
        more in (0_u32..3000, 0_u32..9000),
    ) {
        let before = size(&TaskSize::default(), sum(&floors));
        let which = which.index(floors.len());
        floors[which].cpu += more.0;
        floors[which].memory += more.1;
        if let Some(after) = size(&TaskSize::default(), sum(&floors)) {
            prop_assert!(before.is_some_and(|before| price(before) <= price(after)));
        }
    }

    #[test]
    fn a_heavier_member_gets_no_less_than_a_lighter_one((mut floors, app) in members()) {
        for floor in &mut floors {
            *floor = Floor { cpu: 100, memory: 100, cpu_fixed: false, memory_fixed: false, ..*floor };
        }
        floors[app].weight = 9;
        let Some(size) = size(&TaskSize::default(), sum(&floors)) else { return Ok(()) };
        let shares = divided(size, &floors, app);
        for (one, a) in shares.iter().zip(&floors) {
            for (other, b) in shares.iter().zip(&floors) {
                prop_assert!(a.weight <= b.weight || (one.cpu >= other.cpu && one.memory >= other.memory));
            }
        }
        prop_assert_eq!(divided(size, &floors, app), shares);
    }
}
