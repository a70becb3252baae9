//! The same work on many disks at a time. Where the disks are fast it is the
//! processors that are short, and one of them loads a kernel module meanwhile.

use std::sync::Mutex;
use std::thread;

/// Does something to all items, on as many threads as there are processors to
/// spare. Results are in the order of the items.
pub fn on_all<I: Send, T: Send>(items: Vec<I>, work: impl Fn(I) -> T + Sync) -> Vec<T> {
    if items.len() < 2 {
        return items.into_iter().map(work).collect();
    }
    let spare = thread::available_parallelism().map_or(1, |n| n.get() - 1);
    on_threads(spare.clamp(1, items.len()), items, work)
}

fn on_threads<I: Send, T: Send>(
    threads: usize,
    items: Vec<I>,
    work: impl Fn(I) -> T + Sync,
) -> Vec<T> {
    if threads == 1 {
        return items.into_iter().map(work).collect();
    }
    let mut results: Vec<Option<T>> = items.iter().map(|_| None).collect();
    let queue = Mutex::new(items.into_iter().zip(&mut results));
    let next = || queue.lock().ok()?.next();
    // A panic of a thread is one of the scope.
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((item, result)) = next() {
                    *result = Some(work(item));
                }
            });
        }
    });
    drop(queue);
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order_on_any_number_of_threads() {
        for threads in [1, 3, 20] {
            let results: Vec<i32> = on_threads(threads, (0..10).collect(), |n| n * n);
            assert_eq!(results, [0, 1, 4, 9, 16, 25, 36, 49, 64, 81], "{threads}");
        }
        assert!(on_all(Vec::<u8>::new(), |n| n).is_empty());
    }
}
