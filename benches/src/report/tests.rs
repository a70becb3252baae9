use super::*;

const HOSTILE: &str = "</script><b onmouseover=alert(1)>\u{202e}'\"";

fn page(results: &Results) -> String {
    let mut out = Vec::new();
    write(results, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn it_needs_nothing_from_elsewhere() {
    let page = page(&sample::results(&["one"]));
    let addresses = page.split("http").count() - 1;
    let names = page.matches("http://www.w3.org/2000/svg").count();
    let metas = page.matches("http-equiv").count();
    assert_eq!(addresses, names + metas);
    for word in ["src=", "@import", "url(", "fetch("] {
        assert!(!page.contains(word), "{word}");
    }
}

#[test]
fn no_text_of_a_person_is_markup() {
    let mut results = sample::results(&[HOSTILE, "two"]);
    let pair = (HOSTILE.to_owned(), HOSTILE.to_owned());
    results.global = vec![pair.clone()];
    results.warnings = vec![HOSTILE.to_owned()];
    results.disks[0].name = HOSTILE.to_owned();
    let thread = &mut results.threads[0];
    thread.description = HOSTILE.to_owned();
    thread.engine = HOSTILE.to_owned();
    thread.options = vec![pair];
    thread.error = Some(crate::results::Failure {
        errno: 5,
        text: HOSTILE.to_owned(),
    });
    let verdicts = [Verdict {
        what: "random read",
        measured: 1.0,
        expected: None,
        ratio: None,
        judgement: Judgement::Unknown,
        sentence: HOSTILE.to_owned(),
    }];
    let part = Part {
        name: HOSTILE,
        results: &results,
    };
    let page = html(&Page {
        title: HOSTILE,
        parts: &[part, part],
        verdicts: &verdicts,
    });
    assert!(!page.contains("<b on") && !page.contains('\u{202e}'));
    assert_eq!(page.matches("</script>").count(), 1);
    // Title, heading, and every place above.
    assert!(page.matches("&lt;/script&gt;&lt;b onmouseover").count() > 15);
}

#[test]
fn warnings_stand_before_the_figures() {
    let mut results = sample::results(&["one"]);
    results.warnings = vec!["the size fits the cache of the device".to_owned()];
    results.interrupted = true;
    let page = page(&results);
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text:?}"));
    assert!(at("fits the cache") < at("<table"));
    assert!(at("Interrupted") < at("<table"));
}

#[test]
fn places_stand_side_by_side() {
    let results = sample::results(&["4k random read", "128k write"]);
    let [a, b] = ["/data", "/mnt/ebs"].map(|name| Part {
        name,
        results: &results,
    });
    let page = html(&Page {
        title: "Suite",
        parts: &[a, b],
        verdicts: &[],
    });
    let heads: Vec<&str> = page.split("<h3>").skip(1).collect();
    let heads: Vec<&str> = heads
        .iter()
        .map(|h| h.split("</h3>").next().unwrap())
        .collect();
    assert_eq!(
        heads,
        [
            "4k random read",
            "4k random read",
            "128k write",
            "128k write"
        ]
    );
    assert!(page.contains("<td data-label=\"Where\">/mnt/ebs</td>"));
}

#[test]
fn empty_results_make_a_page() {
    let mut results = sample::results(&["one"]);
    results.threads[0].directions = Default::default();
    assert!(page(&results).contains("Nothing was transferred"));
    results.threads.clear();
    results.disks.clear();
    assert!(page(&results).contains("0 jobs"));
}

#[test]
fn a_day_of_samples_is_a_page_of_bounded_size() {
    let mut results = sample::results(&["long"]);
    for direction in &mut results.threads[0].directions {
        let one = direction.samples[0];
        let all = (1..=172_800).map(|number| crate::results::Sample {
            end: crate::results::SAMPLE_INTERVAL * number,
            ..one
        });
        direction.samples = all.collect();
    }
    let size = page(&results).len();
    assert!(size < 200_000, "{size} bytes");
}
