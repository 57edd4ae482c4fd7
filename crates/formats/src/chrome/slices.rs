//! Slices of one thread as the stretches of time in which the same slices are open.

/// One slice; times in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slice<F> {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) frame: F,
}

/// An event that makes slices.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mark<F> {
    Begin(F),
    End,
    Whole { length: i64, frame: F },
}

/// What was wrong with the slices of a thread, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Faults {
    /// Ends without a begin.
    pub(super) not_begun: u64,
    /// Begins without an end; they last until the thread's last event.
    pub(super) not_ended: u64,
    /// Slices that reach past the one around them; they were cut.
    pub(super) overlapping: u64,
}

/// Pairs begins with ends. The marks are sorted by time, and stay in order where times are equal.
pub(super) fn pair<F: Copy>(mut marks: Vec<(i64, Mark<F>)>, faults: &mut Faults) -> Vec<Slice<F>> {
    marks.sort_by_key(|&(time, _)| time);
    let mut slices: Vec<Slice<F>> = Vec::new();
    let mut open: Vec<usize> = Vec::new();
    let mut last = i64::MIN;
    for &(time, mark) in &marks {
        last = last.max(time);
        match mark {
            Mark::Begin(frame) => {
                open.push(slices.len());
                slices.push(Slice {
                    start: time,
                    end: time,
                    frame,
                });
            }
            Mark::End => match open.pop() {
                Some(index) => slices[index].end = time,
                None => faults.not_begun += 1,
            },
            Mark::Whole { length, frame } => {
                let end = time.saturating_add(length.max(0));
                last = last.max(end);
                slices.push(Slice {
                    start: time,
                    end,
                    frame,
                });
            }
        }
    }
    faults.not_ended += open.len() as u64;
    for index in open {
        slices[index].end = last;
    }
    slices
}

/// Walks the slices in time and calls `each` with the start and length of every stretch in which
/// something is open, and with the stack that `push` made of the open slices.
pub(super) fn walk<F: Copy, S: Copy, E>(
    mut slices: Vec<Slice<F>>,
    faults: &mut Faults,
    push: &mut dyn FnMut(Option<S>, F) -> Result<S, E>,
    each: &mut dyn FnMut(i64, i64, S) -> Result<(), E>,
) -> Result<(), E> {
    // Of slices that begin together, the longest is the outermost; then the file's order.
    slices.sort_by_key(|slice| (slice.start, std::cmp::Reverse(slice.end)));
    let mut open: Vec<(i64, S)> = Vec::new();
    let mut cursor = i64::MIN;
    for slice in slices {
        while let Some(&(end, stack)) = open.last()
            && end <= slice.start
        {
            each(cursor, end.saturating_sub(cursor), stack)?;
            cursor = end;
            open.pop();
        }
        let mut end = slice.end;
        if let Some(&(outer_end, stack)) = open.last() {
            each(cursor, slice.start.saturating_sub(cursor), stack)?;
            if end > outer_end {
                faults.overlapping += 1;
                end = outer_end;
            }
        }
        cursor = slice.start;
        let parent = open.last().map(|&(_, stack)| stack);
        open.push((end, push(parent, slice.frame)?));
    }
    while let Some((end, stack)) = open.pop() {
        each(cursor, end.saturating_sub(cursor), stack)?;
        cursor = end;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretches(marks: Vec<(i64, Mark<char>)>) -> (Vec<(i64, i64, String)>, Faults) {
        let mut faults = Faults::default();
        let slices = pair(marks, &mut faults);
        let mut stacks: Vec<String> = Vec::new();
        let stacks_ref = std::cell::RefCell::new(&mut stacks);
        let mut result = Vec::new();
        walk::<char, usize, ()>(
            slices,
            &mut faults,
            &mut |parent, frame| {
                let mut stacks = stacks_ref.borrow_mut();
                let above = parent.map_or(String::new(), |parent: usize| stacks[parent].clone());
                stacks.push(format!("{above}{frame}"));
                Ok(stacks.len() - 1)
            },
            &mut |start, length, stack| {
                if length > 0 {
                    result.push((start, length, stacks_ref.borrow()[stack].clone()));
                }
                Ok(())
            },
        )
        .unwrap();
        (result, faults)
    }

    fn whole(length: i64, frame: char) -> Mark<char> {
        Mark::Whole { length, frame }
    }

    #[test]
    fn each_stretch_has_the_slices_that_are_open() {
        let (found, faults) = stretches(vec![
            (0, Mark::Begin('a')),
            (2, Mark::Begin('b')),
            (5, Mark::End),
            (7, whole(2, 'c')),
            (10, Mark::End),
            (20, whole(3, 'd')),
            (20, whole(1, 'e')),
        ]);
        let expected = [
            (0, 2, "a"),
            (2, 3, "ab"),
            (5, 2, "a"),
            (7, 2, "ac"),
            (9, 1, "a"),
            (20, 1, "de"),
            (21, 2, "d"),
        ];
        let expected = expected.map(|(at, length, text)| (at, length, text.to_owned()));
        assert_eq!(found, expected);
        assert_eq!(faults, Faults::default());
    }

    #[test]
    fn what_does_not_nest_is_cut_and_counted() {
        let (found, faults) = stretches(vec![
            (0, Mark::End),
            (0, whole(10, 'a')),
            (5, whole(10, 'b')),
            (20, Mark::Begin('c')),
            (25, whole(1, 'd')),
        ]);
        let total: i64 = found.iter().map(|stretch| stretch.1).sum();
        assert_eq!(total, 10 + 6, "{found:?}");
        assert_eq!(
            (faults.not_begun, faults.not_ended, faults.overlapping),
            (1, 1, 1)
        );
    }
}
