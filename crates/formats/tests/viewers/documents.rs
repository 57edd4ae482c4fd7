//! What the tests read out of documents, on their own: stacks of names with weights.

use serde_json::Value;

use crate::Totals;

/// Names from the root, and a weight; functions are told apart by the document's own numbers.
pub(crate) struct Row {
    pub(crate) functions: Vec<usize>,
    pub(crate) weight: i128,
}

/// Adds up rows as every viewer does: self at the leaf, total once for each function.
pub(crate) fn totals(names: &[String], rows: &[Row]) -> Totals {
    let mut totals = Totals::new();
    for row in rows {
        let leaf = *row.functions.last().expect("a row has a leaf");
        totals.entry(names[leaf].clone()).or_default().0 += row.weight;
        let mut seen: Vec<usize> = row.functions.clone();
        seen.sort_unstable();
        seen.dedup();
        for function in seen {
            totals.entry(names[function].clone()).or_default().1 += row.weight;
        }
    }
    totals
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value
        .as_array()
        .unwrap_or_else(|| panic!("no list: {value}"))
}

pub(crate) fn index(value: &Value) -> usize {
    let index = value
        .as_u64()
        .unwrap_or_else(|| panic!("no index: {value}"));
    usize::try_from(index).unwrap()
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

pub(crate) fn speedscope(document: &Value) -> Totals {
    let frames = list(&document["shared"]["frames"]);
    let names: Vec<String> = frames.iter().map(|frame| text(&frame["name"])).collect();
    let mut rows = Vec::new();
    for profile in list(&document["profiles"]) {
        let samples = list(&profile["samples"]);
        let weights = list(&profile["weights"]);
        assert_eq!(samples.len(), weights.len());
        let sum: i128 = weights.iter().map(whole).sum();
        assert_eq!(
            sum,
            whole(&profile["endValue"]) - whole(&profile["startValue"])
        );
        for (sample, weight) in samples.iter().zip(weights) {
            rows.push(Row {
                functions: list(sample).iter().map(index).collect(),
                weight: whole(weight),
            });
        }
    }
    totals(&names, &rows)
}

fn whole(value: &Value) -> i128 {
    value
        .as_i64()
        .unwrap_or_else(|| panic!("no whole number: {value}"))
        .into()
}

pub(crate) fn firefox(document: &Value) -> Totals {
    let shared = &document["shared"];
    let texts = list(&shared["stringArray"]);
    let funcs = list(&shared["funcTable"]["name"]);
    let names: Vec<String> = funcs.iter().map(|name| text(&texts[index(name)])).collect();
    let func = list(&shared["frameTable"]["func"]);
    let frame = list(&shared["stackTable"]["frame"]);
    let offset = list(&shared["stackTable"]["prefixOffset"]);
    let mut rows = Vec::new();
    for thread in list(&document["threads"]) {
        let samples = &thread["samples"];
        let is_time = samples["weightType"] == "tracing-ms";
        for (row, stack) in list(&samples["stack"]).iter().enumerate() {
            let mut functions = Vec::new();
            let mut next = Some(index(stack));
            while let Some(stack) = next {
                functions.push(index(&func[index(&frame[stack])]));
                let back = index(&offset[stack]);
                next = (back != 0).then(|| stack - back);
            }
            functions.reverse();
            let weight = match &samples["weight"] {
                Value::Null => 1,
                weights if is_time => (weights[row].as_f64().unwrap() * 1e6).round() as i128,
                weights => whole(&weights[row]),
            };
            rows.push(Row { functions, weight });
        }
    }
    totals(&names, &rows)
}

/// Time until the next sample, in nanoseconds, over all but the artificial nodes.
pub(crate) fn chrome(document: &Value) -> Totals {
    let mut names = Vec::new();
    let mut rows = Vec::new();
    for event in list(&document["traceEvents"]) {
        if event["name"] != "ProfileChunk" {
            continue;
        }
        let data = &event["args"]["data"];
        let nodes = list(&data["cpuProfile"]["nodes"]);
        let first = index(&nodes[0]["id"]);
        // A function is what has the same name and place, but names are what is compared.
        let base = names.len();
        names.extend(
            nodes
                .iter()
                .map(|node| text(&node["callFrame"]["functionName"])),
        );
        let samples = list(&data["cpuProfile"]["samples"]);
        let deltas = list(&data["timeDeltas"]);
        assert_eq!(samples.len(), deltas.len());
        for (row, sample) in samples.iter().enumerate() {
            let mut functions = Vec::new();
            let mut next = Some(index(sample) - first);
            while let Some(node) = next {
                let name = names[base + node].clone();
                if name != "(root)" && name != "(idle)" {
                    // The first node of that name stands for it.
                    let known = names.iter().position(|other| *other == name);
                    functions.push(known.unwrap());
                }
                next = nodes[node]
                    .get("parent")
                    .map(|parent| index(parent) - first);
            }
            functions.reverse();
            let Some(delta) = deltas.get(row + 1).filter(|_| !functions.is_empty()) else {
                continue;
            };
            let weight = (delta.as_f64().unwrap() * 1e3).round() as i128;
            rows.push(Row { functions, weight });
        }
    }
    totals(&names, &rows)
}

/// Self and total as the document lists them, held to what its samples and stacks say.
pub(crate) fn json(document: &Value, weight: usize) -> Totals {
    let functions = list(&document["functions"]);
    let names: Vec<String> = functions.iter().map(|row| text(&row["name"])).collect();
    let (frames, stacks) = (list(&document["frames"]), list(&document["stacks"]));
    let mut rows = Vec::new();
    let mut nowhere = 0;
    for sample in list(&document["samples"]) {
        let weight = whole(&sample["weights"][weight]);
        let mut next = Some(&sample["stack"]).filter(|stack| !stack.is_null());
        let mut functions = Vec::new();
        while let Some(stack) = next {
            let stack = &stacks[index(stack)];
            functions.push(index(&frames[index(&stack["frame"])]["function"]));
            next = Some(&stack["parent"]).filter(|parent| !parent.is_null());
        }
        functions.reverse();
        if functions.is_empty() {
            nowhere += weight;
        } else {
            rows.push(Row { functions, weight });
        }
    }
    let mut sums = totals(&names, &rows);
    if names.iter().any(|name| name == "[unknown]") {
        let unknown = sums.entry("[unknown]".to_owned()).or_default();
        unknown.0 += nowhere;
        unknown.1 += nowhere;
    }
    let mut listed = Totals::new();
    for row in functions {
        let sum = listed.entry(text(&row["name"])).or_default();
        sum.0 += whole(&row["self"][weight]);
        sum.1 += whole(&row["total"][weight]);
    }
    for (name, sum) in &listed {
        assert_eq!(sums.get(name).copied().unwrap_or_default(), *sum, "{name}");
    }
    listed
}
