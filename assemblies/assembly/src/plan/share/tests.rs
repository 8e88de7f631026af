//! Properties of every allocation, for arbitrary floors and weights.

use proptest::prelude::*;
use task_definition::fargate_sizes::{self, sizes};

use super::*;

#[test]
fn divides_the_whole_amount_if_the_app_can_take_the_remainder() {
    assert_eq!(divide(100, &[1, 2, 0], 1), [33, 67, 0]);
    // Nothing can grow: the spare amount stays unallocated.
    assert_eq!(divide(100, &[0, 0, 0], 1), [0, 0, 0]);
    assert_eq!(divide(5, &[1, 0], 1), [5, 0]);
}

/// Shows why the choice needs no prices. The cost of a size is linear in the two prices, so a size that is
/// cheapest with free memory, and with a gigabyte as expensive as four vCPUs, is cheapest for all prices
/// in between. On Fargate a gigabyte costs about a ninth of a vCPU.
#[test]
fn the_smallest_size_is_the_cheapest_while_a_gigabyte_costs_less_than_four_vcpus() {
    let all = || {
        let rows = sizes().iter();
        rows.flat_map(|row| row.memory.iter().map(|memory| (row.cpu, *memory)))
    };

    for (cpu, memory) in all().flat_map(|(cpu, _)| all().map(move |(_, memory)| (cpu, memory))) {
        let taken = fargate_sizes::smallest(cpu, memory).map(|size| (size.cpu, size.memory));
        let fitting = || all().filter(|size| size.0 >= cpu && size.1 >= memory);
        assert_eq!(taken.is_some(), fitting().next().is_some());

        for gigabyte in [0, 4] {
            // Per 1,024 CPU units and MiB, so that the common factor can be left out.
            let cost = |size: (u32, u32)| u64::from(size.0) + gigabyte * u64::from(size.1);
            let least = fitting().map(cost).min();
            assert_eq!(taken.map(cost), least, "{cpu} CPU units and {memory} MiB");
        }
    }
}

#[test]
fn a_sum_equal_to_a_size_gets_that_size() {
    let floors = [floor(128, 256, 1), floor(128, 256, 0)];
    let size = choose_size(&TaskSize::default(), sum(&floors)).expect("a size");
    assert_eq!((size.cpu, size.memory), (256, 512));
    let shares = divide_size(size, &floors, 0);
    assert_eq!(shares[0].memory, 256);
    assert_eq!(shares[0].reservation, 255);
}

#[test]
fn chooses_sizes_up_to_the_largest_and_none_beyond() {
    let (default, largest) = (
        TaskSize::default(),
        Size {
            cpu: 32768,
            memory: 249_856,
        },
    );

    assert_eq!(choose_size(&default, largest), Some(largest));
    assert_eq!(
        choose_size(
            &default,
            Size {
                cpu: 32769,
                memory: 512
            }
        ),
        None
    );

    assert_eq!(
        choose_size(
            &default,
            Size {
                cpu: 256,
                memory: 249_857
            }
        ),
        None
    );

    // One CPU unit and one MiB above 16 vCPU and 60 GB: only the next row of the table holds both.
    let unusual = Size {
        cpu: 16385,
        memory: 61441,
    };
    let taken = Size {
        cpu: 32768,
        memory: 122_880,
    };
    assert_eq!(choose_size(&default, unusual), Some(taken));
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
        memory in MIN_MEMORY..26_000,
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

/// Returns a price in which a vCPU costs nine times as much as a gigabyte, about as on Fargate.
fn price(size: Size) -> u64 {
    9 * u64::from(size.cpu) + u64::from(size.memory)
}

proptest! {
    #[test]
    fn shares_are_within_the_task_and_above_the_floors((floors, app) in members()) {
        let Some(size) = choose_size(&TaskSize::default(), sum(&floors)) else { return Ok(()) };
        let Size { cpu, memory } = size;
        let supported = fargate_sizes::is_supported(fargate_sizes::Size { cpu, memory });
        prop_assert!(supported);
        let shares = divide_size(size, &floors, app);
        let total = total(&shares);
        prop_assert!(total.cpu <= size.cpu && total.memory <= size.memory);
        for (share, floor) in shares.iter().zip(&floors) {
            prop_assert!(share.cpu >= floor.cpu && share.memory >= floor.memory);
            // The reservation may be one MiB below the floor, where the floor is the hard limit.
            prop_assert!(share.reservation < share.memory && share.reservation + 1 >= floor.memory);
            prop_assert!(!floor.cpu_fixed || share.cpu == floor.cpu);
            prop_assert!(!floor.memory_fixed || share.memory == floor.memory);
        }
    }

    #[test]
    fn allocates_the_whole_size_if_the_app_can_grow((mut floors, app) in members()) {
        floors[app] = Floor { weight: 1, cpu_fixed: false, memory_fixed: false, ..floors[app] };
        let Some(size) = choose_size(&TaskSize::default(), sum(&floors)) else { return Ok(()) };
        prop_assert_eq!(total(&divide_size(size, &floors, app)), size);
    }

    #[test]
    fn no_size_that_fits_is_cheaper((floors, _) in members()) {
        let sum = sum(&floors);
        let Some(taken) = choose_size(&TaskSize::default(), sum) else { return Ok(()) };
        for row in sizes() {
            for memory in row.memory {
                let other = Size { cpu: row.cpu, memory: *memory };
                let fits = other.cpu >= sum.cpu && other.memory >= sum.memory;
                prop_assert!(!fits || price(other) >= price(taken));
            }
        }
    }

    #[test]
    fn larger_floors_never_make_the_task_cheaper(
        (mut floors, _) in members(),
        which in any::<prop::sample::Index>(),
        more in (0_u32..3000, 0_u32..9000),
    ) {
        // Raising one floor can only raise the sum.
        let before = choose_size(&TaskSize::default(), sum(&floors));
        let which = which.index(floors.len());
        floors[which].cpu += more.0;
        floors[which].memory += more.1;
        if let Some(after) = choose_size(&TaskSize::default(), sum(&floors)) {
            prop_assert!(before.is_some_and(|before| price(before) <= price(after)));
        }
    }

    #[test]
    fn a_heavier_member_gets_no_less_than_a_lighter_one((mut floors, app) in members()) {
        // Equal floors, so that shares differ by weight alone.
        for floor in &mut floors {
            *floor = Floor { cpu: 100, memory: 100, cpu_fixed: false, memory_fixed: false, ..*floor };
        }
        floors[app].weight = 9;
        let Some(size) = choose_size(&TaskSize::default(), sum(&floors)) else { return Ok(()) };
        let shares = divide_size(size, &floors, app);
        for (share, floor) in shares.iter().zip(&floors) {
        for (other, lighter) in shares.iter().zip(&floors) {
        prop_assert!(
        floor.weight <= lighter.weight
        || (share.cpu >= other.cpu && share.memory >= other.memory)
        );
            }
        }
        prop_assert_eq!(divide_size(size, &floors, app), shares);
    }
}
