//! All lines of a profile as one tree of names, and that tree in the order of its lines.
//!
//! Stacks of equal text become one path, whatever addresses they were, so each name is escaped
//! once, each stack is looked at once, and no line exists before it is written.

use hotproof_profile::{Code, Id, Inline, LocationId, Profile, RowIndex, StackEnd, StackId, mix};

use super::texts::{TextId, Texts};
use super::{FAILED, STITCHED, TRUNCATED, UNKNOWN_END};
use crate::nameless::is_nameless;

/// The node above all roots.
const ORIGIN: u32 = 0;
/// What the origin lies below.
const NOBODY: u32 = u32::MAX;

/// A name below another one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Node {
    parent: u32,
    text: TextId,
}

/// The folded stacks of a profile.
pub(super) struct Tree {
    texts: Texts,
    nodes: Vec<Node>,
    index: RowIndex,
    /// Weights of the line that ends at a node, one for each column; those of node `n` begin at
    /// `n * columns`.
    sums: Vec<i64>,
    columns: usize,
    /// Whether a line ends at a node: its weights may be 0.
    has_line: Vec<bool>,
}

/// What stands in front of a stack's own frames.
#[derive(Clone, Copy)]
struct Trunk {
    root: Option<TextId>,
    mark: Option<TextId>,
}

impl Tree {
    /// Adds up the given weight columns of all samples by the text of their stacks.
    pub(super) fn of(profile: &Profile, inline: Inline, columns: &[usize]) -> Tree {
        let mut texts = Texts::of(profile);
        let trunks = Trunks::of(profile, &mut texts);
        let frames = Frames::of(profile, inline, &mut texts);
        let nothing = texts.of_code(profile, Code::Unmapped);
        let mut tree = Tree {
            texts,
            nodes: Vec::new(),
            index: RowIndex::default(),
            sums: Vec::new(),
            columns: columns.len(),
            has_line: Vec::new(),
        };
        tree.child(NOBODY, nothing);
        let mut seen = Seen::of(profile);
        for (trunk, rows) in trunks.groups() {
            let bottom = tree.bottom(trunk);
            seen.forget();
            for &row in rows {
                let row = row as usize;
                let node = match profile.samples.stack[row] {
                    Some(stack) => tree.plant(profile, &frames, trunk, bottom, stack, &mut seen),
                    None => tree.unknown(trunk, bottom, nothing),
                };
                tree.has_line[node as usize] = true;
                let sums = &mut tree.sums[node as usize * tree.columns..];
                for (sum, &column) in sums.iter_mut().zip(columns) {
                    *sum += profile.samples.weights[column][row];
                }
            }
        }
        tree
    }

    /// The node that a trunk's stacks begin at. Without a root, a mark comes behind the first frame.
    fn bottom(&mut self, trunk: Trunk) -> u32 {
        let Some(root) = trunk.root else {
            return ORIGIN;
        };
        let root = self.child(ORIGIN, root);
        match trunk.mark {
            Some(mark) => self.child(root, mark),
            None => root,
        }
    }

    fn unknown(&mut self, trunk: Trunk, bottom: u32, nothing: TextId) -> u32 {
        let node = self.child(bottom, nothing);
        match trunk.mark.filter(|_| trunk.root.is_none()) {
            Some(mark) => self.child(node, mark),
            None => node,
        }
    }

    /// The node of a stack's leaf.
    fn plant(
        &mut self,
        profile: &Profile,
        frames: &Frames,
        trunk: Trunk,
        bottom: u32,
        stack: StackId,
        seen: &mut Seen,
    ) -> u32 {
        let mut path = std::mem::take(&mut seen.path);
        let (mut next, mut node) = (Some(stack), None);
        while let Some(id) = next {
            node = seen.node(id);
            if node.is_some() {
                break;
            }
            path.push(id);
            next = profile.stacks[id].parent;
        }
        let mut marked = node.is_some() || trunk.root.is_some();
        let mut node = node.unwrap_or(bottom);
        while let Some(id) = path.pop() {
            for &text in frames.at(profile.stacks[id].location) {
                node = self.child(node, text);
                if !std::mem::replace(&mut marked, true)
                    && let Some(mark) = trunk.mark
                {
                    node = self.child(node, mark);
                }
            }
            seen.remember(id, node);
        }
        seen.path = path;
        node
    }

    fn child(&mut self, parent: u32, text: TextId) -> u32 {
        let node = Node { parent, text };
        let nodes = &self.nodes;
        let found = self
            .index
            .find_or_claim(hash(&node), |row| nodes[row] == node);
        let row = found.unwrap_or_else(|| {
            self.nodes.push(node);
            self.has_line.push(false);
            self.sums.extend(std::iter::repeat_n(0, self.columns));
            self.nodes.len() - 1
        });
        u32::try_from(row).expect("an index has fewer than 2^32 rows")
    }

    /// Hands out each stack with its weights, sorted by the bytes of the stack, each stack once.
    pub(super) fn each_line<E>(
        &self,
        mut take: impl FnMut(&str, &[i64]) -> Result<(), E>,
    ) -> Result<(), E> {
        let order = Order::of(self);
        let mut line = String::new();
        // The events that come next at each depth, and how long the line is above them.
        let mut open = vec![(order.first[ORIGIN as usize], 0)];
        while let Some((event, above)) = open.pop() {
            if event == NO_EVENT {
                continue;
            }
            open.push((order.next[event as usize], above));
            let (node, kind) = (event / 2, event % 2);
            line.truncate(above);
            line.push_str(self.texts.text(self.nodes[node as usize].text));
            if kind == LINE {
                let start = node as usize * self.columns;
                take(&line, &self.sums[start..start + self.columns])?;
            } else {
                line.push(';');
                open.push((order.first[node as usize], line.len()));
            }
        }
        Ok(())
    }
}

/// An event is a node's number doubled, plus one of these.
const LINE: u32 = 0;
/// What lies below a node.
const BELOW: u32 = 1;
const NO_EVENT: u32 = u32::MAX;

/// The events of each node's children, in the order of the lines that they give.
///
/// A line that ends at a name comes where the name belongs, and those that go on where the name
/// with its semicolon belongs: `a 1`, `a b 1`, `a;c 1` is in the order of bytes.
struct Order {
    /// The first event below a node.
    first: Vec<u32>,
    /// The event behind an event.
    next: Vec<u32>,
}

impl Order {
    fn of(tree: &Tree) -> Order {
        let nodes = tree.nodes.len();
        let mut order = Order {
            first: vec![NO_EVENT; nodes],
            next: vec![NO_EVENT; nodes * 2],
        };
        let mut has_below = vec![false; nodes];
        for node in &tree.nodes[1..] {
            has_below[node.parent as usize] = true;
        }
        // All events by the place of their text among all texts, then each put in front of those
        // of its parent, last first.
        let places = tree.texts.places();
        let mut count = vec![0u32; tree.texts.len() * 2 + 1];
        let events = || {
            (1..).zip(&tree.nodes[1..]).flat_map(|(number, node)| {
                let at = number as usize;
                let line = tree.has_line[at].then_some((number * 2 + LINE, node, LINE));
                let below = has_below[at].then_some((number * 2 + BELOW, node, BELOW));
                line.into_iter().chain(below)
            })
        };
        for (_, node, kind) in events() {
            count[places[node.text as usize * 2 + kind as usize] as usize + 1] += 1;
        }
        for place in 1..count.len() {
            count[place] += count[place - 1];
        }
        let mut sorted = vec![NO_EVENT; count.last().map_or(0, |&all| all as usize)];
        for (event, node, kind) in events() {
            let slot = &mut count[places[node.text as usize * 2 + kind as usize] as usize];
            sorted[*slot as usize] = event;
            *slot += 1;
        }
        for &event in sorted.iter().rev() {
            let parent = tree.nodes[event as usize / 2].parent as usize;
            order.next[event as usize] = std::mem::replace(&mut order.first[parent], event);
        }
        order
    }
}

/// The samples of each trunk.
struct Trunks {
    /// By number.
    trunks: Vec<Trunk>,
    /// Rows of samples, sorted by the number of their trunk.
    rows: Vec<u32>,
    /// Where the rows of a trunk end; they begin where those of the one before end.
    ends: Vec<usize>,
}

/// All ways that a stack can end, in the order of their numbers here.
const ENDS: [StackEnd; 5] = [
    StackEnd::Complete,
    StackEnd::Truncated,
    StackEnd::Failed,
    StackEnd::Unknown,
    StackEnd::Stitched,
];

impl Trunks {
    fn of(profile: &Profile, texts: &mut Texts) -> Trunks {
        let samples = &profile.samples;
        let says_whole = samples.end.iter().any(|&end| end != StackEnd::Unknown);
        let marks = ENDS.map(|end| match end {
            StackEnd::Complete => None,
            StackEnd::Truncated => Some(TRUNCATED),
            StackEnd::Failed => Some(FAILED),
            StackEnd::Unknown => says_whole.then_some(UNKNOWN_END),
            StackEnd::Stitched => Some(STITCHED),
        });
        let marks = marks.map(|mark| mark.map(|mark| texts.of_name(profile, mark)));
        let roots = profile.threads.iter().map(|(id, row)| {
            let is_named = !is_nameless(profile, id);
            is_named.then(|| texts.of_string(profile, row.name))
        });
        let roots: Vec<Option<TextId>> = roots.collect();
        // Number 0 is that of stacks without a root.
        let known = (0..texts.len()).map(|text| TextId::try_from(text).ok());
        let trunks = std::iter::once(None).chain(known);
        let trunks = trunks.flat_map(|root| marks.map(|mark| Trunk { root, mark }));
        let number = |row: usize| {
            let root = roots[samples.thread[row].index()];
            let end = ENDS.iter().position(|&end| end == samples.end[row]);
            root.map_or(0, |text| text as usize + 1) * ENDS.len() + end.unwrap_or_default()
        };
        let trunks: Vec<Trunk> = trunks.collect();
        let mut ends = vec![0; trunks.len()];
        for row in 0..samples.len() {
            ends[number(row)] += 1;
        }
        let mut start = 0;
        for end in &mut ends {
            start += std::mem::replace(end, start);
        }
        let mut rows = vec![0; samples.len()];
        for (row, place) in (0..samples.len()).zip(0..) {
            let end = &mut ends[number(row)];
            rows[*end] = place;
            *end += 1;
        }
        Trunks { trunks, rows, ends }
    }

    fn groups(&self) -> impl Iterator<Item = (Trunk, &[u32])> {
        let starts = std::iter::once(&0).chain(&self.ends);
        let spans = starts.zip(&self.ends).map(|(&start, &end)| start..end);
        let groups = self.trunks.iter().zip(spans);
        groups
            .filter(|(_, span)| !span.is_empty())
            .map(|(&trunk, span)| (trunk, &self.rows[span]))
    }
}

/// The texts of each location's frames, root first.
struct Frames {
    texts: Vec<TextId>,
    /// Where those of a location end; they begin where those of the one before end.
    ends: Vec<u32>,
}

impl Frames {
    fn of(profile: &Profile, inline: Inline, texts: &mut Texts) -> Frames {
        let mut frames = Frames {
            texts: Vec::with_capacity(profile.locations.len()),
            ends: Vec::with_capacity(profile.locations.len()),
        };
        for location in profile.locations.ids() {
            let codes = profile.code_at(location, inline).rev();
            let names = codes.map(|code| texts.of_code(profile, code));
            frames.texts.extend(names);
            let end = u32::try_from(frames.texts.len());
            frames
                .ends
                .push(end.expect("frames are rows of a table of 32 bits"));
        }
        frames
    }

    fn at(&self, location: LocationId) -> &[TextId] {
        let at = location.index();
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.texts[start as usize..self.ends[at] as usize]
    }
}

/// The nodes of the stacks that were planted below the trunk at hand.
struct Seen {
    nodes: Vec<(u32, u32)>,
    /// Which trunk it is, counted from 1.
    trunk: u32,
    /// Kept for its memory.
    path: Vec<StackId>,
}

impl Seen {
    fn of(profile: &Profile) -> Seen {
        Seen {
            nodes: vec![(0, 0); profile.stacks.len()],
            trunk: 0,
            path: Vec::new(),
        }
    }

    fn forget(&mut self) {
        self.trunk += 1;
    }

    fn node(&self, stack: StackId) -> Option<u32> {
        let (trunk, node) = self.nodes[stack.index()];
        (trunk == self.trunk).then_some(node)
    }

    fn remember(&mut self, stack: StackId, node: u32) {
        self.nodes[stack.index()] = (self.trunk, node);
    }
}

fn hash(node: &Node) -> u64 {
    let key = u64::from(node.parent) << 32 | u64::from(node.text);
    mix(key ^ 0x2545_f491_4f6c_dd1d, 0x9e37_79b9_7f4a_7c15)
}
