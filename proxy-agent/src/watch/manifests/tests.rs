use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use proptest::prelude::*;
use rstest::rstest;
use tempfile::TempDir;
use tokio::sync::mpsc::Receiver;

use super::{
    read::{Reading, Syntax, read},
    *,
};
use crate::{agent::Objects, testing::settings};

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: 10.96.0.10
  ports: [{port: 80}]
";
const SLICE: &str = "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: '', port: 8080}]
endpoints: [{addresses: [10.244.1.5]}]
";

fn keys(reading: &Reading) -> Vec<String> {
    reading.objects.iter().map(|(key, _)| key.to_string()).collect()
}

fn json_of(yaml: &str) -> String {
    serde_saphyr::from_str::<serde_json::Value>(yaml)
        .expect("a document")
        .to_string()
}

#[test]
fn several_documents_are_several_objects() {
    let text = format!("# first\n---\n{SERVICE}---\n{SLICE}---\n---\n");
    let reading = read(&text, Syntax::Yaml).expect("readable");
    assert_eq!(keys(&reading), ["Service default/web", "EndpointSlice default/web-1"]);
    assert!(reading.faults.is_empty() && reading.ignored.is_empty());
}

#[rstest]
#[case::of_anything("v1", "List", true)]
#[case::as_the_server_gives_it("v1", "ServiceList", false)]
fn a_list_is_its_items(#[case] version: &str, #[case] kind: &str, #[case] items_say_their_kind: bool) {
    let mut item: serde_json::Value = serde_json::from_str(&json_of(SERVICE)).expect("a document");
    if !items_say_their_kind {
        let item = item.as_object_mut().expect("a mapping");
        item.remove("kind");
        item.remove("apiVersion");
    }
    let list = serde_json::json!({"apiVersion": version, "kind": kind, "items": [item]});
    for syntax in [Syntax::Json, Syntax::Yaml] {
        let reading = read(&list.to_string(), syntax).expect("readable");
        assert_eq!(keys(&reading), ["Service default/web"], "{:?}", reading.faults);
    }
}

#[test]
fn json_documents_may_follow_one_another() {
    let text = format!("{}\n{}\n", json_of(SERVICE), json_of(SLICE));
    assert_eq!(read(&text, Syntax::Json).expect("readable").objects.len(), 2);
}

#[test]
fn kinds_that_are_not_used_are_told_about() {
    let text = format!("{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: x}}}}\n---\n{SERVICE}");
    let reading = read(&text, Syntax::Yaml).expect("readable");
    assert_eq!(reading.objects.len(), 1);
    assert_eq!(
        reading.ignored,
        ["document 1: apps/v1 Deployment: a kind that is not used"]
    );
}

/// What is wrong with the second document, and how it is told.
#[rstest]
#[case::no_kind("apiVersion: v1", "document 2: kind: missing")]
#[case::no_version("kind: Service", "document 2: apiVersion: missing")]
#[case::no_mapping("- 1", "document 2: not an object")]
#[case::no_name("{apiVersion: v1, kind: Service}", "document 2: metadata.name: missing")]
#[case::a_port_that_is_a_text(
    "{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {ports: [{port: eighty}]}}",
    "document 2: Service default/x: spec.ports[0].port: invalid type"
)]
#[case::no_port(
    "{apiVersion: v1, kind: Service, metadata: {name: x}, spec: {ports: [{name: a}]}}",
    "document 2: Service default/x: spec.ports[0].port: missing"
)]
#[case::no_family(
    "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: x}, endpoints: []}",
    "document 2: EndpointSlice default/x: addressType: missing"
)]
#[case::no_endpoints(
    "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: x}, addressType: IPv4}",
    "document 2: EndpointSlice default/x: endpoints: missing"
)]
#[case::no_date(
    "{apiVersion: v1, kind: Service, metadata: {name: x, creationTimestamp: yesterday}}",
    "document 2: Service default/x: metadata"
)]
fn a_fault_names_its_document_and_field(#[case] document: &str, #[case] expected: &str) {
    let reading = read(&format!("{SERVICE}---\n{document}\n"), Syntax::Yaml).expect("readable");
    assert_eq!(reading.objects.len(), 1);
    assert_eq!(reading.faults.len(), 1);
    let line = reading.faults[0].to_string();
    assert!(line.starts_with(expected), "{line}");
}

#[rstest]
#[case::unclosed("{apiVersion: v1, kind: Service, metadata: {name: x", Syntax::Yaml)]
#[case::indentation("a:\n  b: 1\n c: 2\n", Syntax::Yaml)]
#[case::a_key_twice("apiVersion: v1\napiVersion: v1\n", Syntax::Yaml)]
#[case::half_of_it("{\"apiVersion\": \"v1\", \"kind\"", Syntax::Json)]
#[case::deep(&"[".repeat(100_000), Syntax::Yaml)]
#[case::laughing(&laughing(), Syntax::Yaml)]
fn a_text_that_cannot_be_taken_apart_is_one_line(#[case] text: &str, #[case] syntax: Syntax) {
    let error = read(text, syntax).expect_err("not readable");
    assert!(!error.is_empty() && !error.contains('\n'), "{error}");
}

/// A thousand million items by nine lines, each ten times the one before it.
fn laughing() -> String {
    let line = |n: usize| format!("a{}: &a{} [{}]\n", n + 1, n + 1, vec![format!("*a{n}"); 10].join(", "));
    format!("a0: &a0 x\n{}", (0..9).map(line).collect::<String>())
}

#[test]
fn an_endpoints_object_is_the_slices_that_say_the_same() {
    let text = "{apiVersion: v1, kind: Endpoints, metadata: {name: web, namespace: ns}, subsets: [
        {addresses: [{ip: 10.0.0.1, nodeName: a}, {ip: 'fd00::1'}], notReadyAddresses: [{ip: 10.0.0.2}], ports: [{port: 8080}]}
    ]}";
    let reading = read(text, Syntax::Yaml).expect("readable");
    assert_eq!(
        keys(&reading),
        ["EndpointSlice ns/web/0/IPv4", "EndpointSlice ns/web/0/IPv6"]
    );
    let Object::Slice(slice) = &reading.objects[0].1 else {
        panic!("not a slice: {:?}", reading.objects);
    };
    let ready: Vec<_> = slice
        .endpoints
        .iter()
        .map(|endpoint| endpoint.conditions.ready)
        .collect();
    assert_eq!(ready, [Some(true), Some(false)]);
}

#[test]
fn a_large_file_is_read_whole() {
    let text = (0..3000)
        .map(|n| SERVICE.replace("web", &format!("web-{n}")) + "---")
        .collect::<String>();
    assert_eq!(read(&text, Syntax::Yaml).expect("readable").objects.len(), 3000);
}

/// A folder that is followed on a thread, and what is known from it.
struct Followed {
    folder: TempDir,
    objects: Objects,
    notices: Receiver<Notice>,
    trouble: Option<String>,
    endpoints: BTreeSet<String>,
}

/// How long a change may take to arrive before a test gives up.
const PATIENCE: Duration = Duration::from_secs(20);

impl Followed {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a folder");
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("written");
        }
        let (feed, notices) = Feed::new();
        let path = folder.path().to_owned();
        let (begun, wait) = mpsc::channel();
        thread::spawn(move || {
            begun.send(()).expect("the test waits");
            follow(&path, &feed)
        });
        wait.recv().expect("begun");
        let mut followed = Followed {
            folder,
            objects: Objects::new(&settings()),
            notices,
            trouble: None,
            endpoints: BTreeSet::new(),
        };
        followed.until("complete", |followed| followed.objects.is_complete());
        followed
    }

    /// Replaces a file as a careful writer does.
    fn put(&self, name: &str, text: &str) {
        let hidden = self.path().join(format!(".{name}.new"));
        fs::write(&hidden, text).expect("written");
        fs::rename(hidden, self.path().join(name)).expect("renamed");
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes in what comes until a condition holds.
    fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(
                Instant::now() < deadline,
                "{what}: not within {PATIENCE:?}; {:?} {:?}",
                self.endpoints,
                self.trouble
            );
            match self.notices.try_recv() {
                Ok(Notice::Changes { changes, .. }) => changes.into_iter().for_each(|change| self.objects.take(change)),
                Ok(Notice::Trouble { reason, .. }) => self.trouble = reason,
                Err(_) => thread::yield_now(),
            }
            if let Some(changes) = self.objects.wanted() {
                for (id, service) in &changes.services {
                    self.endpoints.retain(|known| !known.starts_with(&format!("{id} ")));
                    let endpoints = service.iter().flat_map(|service| &service.endpoints);
                    self.endpoints
                        .extend(endpoints.map(|endpoint| format!("{id} {}", endpoint.address)));
                }
            }
        }
    }

    fn until_endpoints(&mut self, expected: &[&str]) {
        let expected: BTreeSet<String> = expected.iter().map(|text| (*text).to_owned()).collect();
        self.until("endpoints", |followed| followed.endpoints == expected);
    }
}

#[test]
fn a_folder_is_followed_as_it_changes() {
    let mut followed = Followed::new(&[("a.yaml", SERVICE), ("b.yml", SLICE), ("notes.txt", "not a manifest")]);
    followed.until_endpoints(&["default/web 10.244.1.5"]);
    followed.put("b.yml", &SLICE.replace("10.244.1.5", "10.244.1.6"));
    followed.until_endpoints(&["default/web 10.244.1.6"]);
    fs::write(
        followed.path().join("c.json"),
        json_of(&SLICE.replace("web-1", "web-2")),
    )
    .expect("written");
    followed.until_endpoints(&["default/web 10.244.1.5", "default/web 10.244.1.6"]);
    fs::remove_file(followed.path().join("b.yml")).expect("removed");
    followed.until_endpoints(&["default/web 10.244.1.5"]);
    fs::remove_file(followed.path().join("a.yaml")).expect("removed");
    followed.until_endpoints(&[]);
}

#[rstest]
#[case::cut_in_a_word("apiVersion: discovery.k8s.io/v1\nkind: Endpo")]
#[case::cut_before_the_end(
    "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: web-1}\naddressType: IPv4\n"
)]
#[case::not_yaml("\t{{{")]
fn a_file_that_cannot_be_used_keeps_what_it_said(#[case] half: &str) {
    let mut followed = Followed::new(&[("a.yaml", SERVICE), ("b.yaml", SLICE)]);
    followed.until_endpoints(&["default/web 10.244.1.5"]);
    followed.put("b.yaml", half);
    followed.until("trouble", |followed| {
        followed.trouble.as_ref().is_some_and(|line| line.contains("b.yaml"))
    });
    followed.until_endpoints(&["default/web 10.244.1.5"]);
    followed.put("b.yaml", &SLICE.replace("10.244.1.5", "10.244.1.7"));
    followed.until_endpoints(&["default/web 10.244.1.7"]);
    followed.until("no trouble", |followed| followed.trouble.is_none());
}

/// A Service that cannot be read before one that has changed.
#[test]
fn a_document_that_cannot_be_read_keeps_what_it_said_and_keeps_nothing_else() {
    let other = SERVICE.replace("web", "other").replace("10.96.0.10", "10.96.0.11");
    let slice = SLICE.replace("web", "other").replace("10.244.1.5", "10.244.1.9");
    let file = |port: &str, address: &str| {
        let web = SERVICE.replace("port: 80", &format!("port: {port}"));
        let slices = format!("{SLICE}---\n{}", slice.replace("10.244.1.9", address));
        format!("{web}---\n{other}---\n{slices}")
    };
    let mut followed = Followed::new(&[("a.yaml", &file("80", "10.244.1.9"))]);
    followed.until_endpoints(&["default/other 10.244.1.9", "default/web 10.244.1.5"]);
    followed.put("a.yaml", &file("eighty", "10.244.1.8"));
    followed.until_endpoints(&["default/other 10.244.1.8", "default/web 10.244.1.5"]);
    let line = followed.objects.take_refusals().remove(0);
    assert!(
        line.starts_with("Service default/web: spec.ports[0].port: invalid type"),
        "{line}"
    );
    followed.put("a.yaml", &file("80", "10.244.1.7"));
    followed.until_endpoints(&["default/other 10.244.1.7", "default/web 10.244.1.5"]);
    assert_eq!(followed.objects.refused(), 0);
}

#[test]
fn an_object_that_could_never_be_read_is_refused_until_it_is_gone() {
    let bad = SERVICE.replace("web", "bad").replace("port: 80", "port: []");
    let mut followed = Followed::new(&[("a.yaml", &format!("{bad}---\n{SERVICE}")), ("b.yaml", SLICE)]);
    followed.until_endpoints(&["default/web 10.244.1.5"]);
    assert_eq!(followed.objects.refused(), 1);
    fs::remove_file(followed.path().join("a.yaml")).expect("removed");
    followed.until_endpoints(&[]);
    followed.until("nothing is refused", |followed| followed.objects.refused() == 0);
}

#[test]
fn of_two_files_with_one_object_the_first_by_name_counts_and_the_other_takes_over() {
    let second = SLICE.replace("10.244.1.5", "10.244.1.99");
    let mut followed = Followed::new(&[("m.yaml", SERVICE), ("z.yaml", &second)]);
    followed.until_endpoints(&["default/web 10.244.1.99"]);
    followed.put("a.yaml", SLICE);
    followed.until_endpoints(&["default/web 10.244.1.5"]);
    followed.put("z.yaml", &second.replace("10.244.1.99", "10.244.1.98"));
    followed.put(
        "y.yaml",
        &SERVICE.replace("web", "marker").replace("10.96.0.10", "10.96.0.11"),
    );
    followed.put("x.yaml", &second.replace("web", "marker"));
    followed.until_endpoints(&["default/marker 10.244.1.99", "default/web 10.244.1.5"]);
    fs::remove_file(followed.path().join("a.yaml")).expect("removed");
    followed.until_endpoints(&["default/marker 10.244.1.99", "default/web 10.244.1.98"]);
}

#[test]
fn what_a_link_leads_to_may_be_exchanged() {
    let mut followed = Followed::new(&[("a.yaml", SERVICE)]);
    let versions = [SLICE.to_owned(), SLICE.replace("10.244.1.5", "10.244.1.6")];
    for (number, text) in versions.iter().enumerate() {
        let version = followed.path().join(format!("..{number}"));
        fs::create_dir(&version).expect("made");
        fs::write(version.join("b.yaml"), text).expect("written");
        std::os::unix::fs::symlink(&version, followed.path().join("..new")).expect("linked");
        fs::rename(followed.path().join("..new"), followed.path().join("..data")).expect("renamed");
        if number == 0 {
            std::os::unix::fs::symlink("..data/b.yaml", followed.path().join("b.yaml")).expect("linked");
            followed.until_endpoints(&["default/web 10.244.1.5"]);
        }
    }
    followed.until_endpoints(&["default/web 10.244.1.6"]);
}

#[test]
fn a_folder_that_goes_leaves_everything_in_force_until_it_is_back() {
    let parent = TempDir::new().expect("a folder");
    let mut followed = Followed::new(&[("a.yaml", SERVICE), ("b.yaml", SLICE)]);
    followed.until_endpoints(&["default/web 10.244.1.5"]);
    let away = parent.path().join("away");
    fs::rename(followed.path(), &away).expect("moved");
    followed.until("trouble", |followed| followed.trouble.is_some());
    fs::create_dir(followed.path()).expect("made");
    fs::write(followed.path().join("a.yaml"), SERVICE).expect("written");
    fs::write(
        followed.path().join("b.yaml"),
        SLICE.replace("10.244.1.5", "10.244.1.6"),
    )
    .expect("written");
    followed.until_endpoints(&["default/web 10.244.1.6"]);
}

/// A piece of a manifest, or of anything else.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        SERVICE,
        SLICE,
        "---\n",
        "...\n",
        "apiVersion: v1\n",
        "kind: Service\n",
        "kind: List\nitems: [",
        "metadata: {name: x}\n",
        "]",
        "{",
        "}",
        "&a ",
        "*a",
        "? ",
        "- ",
        "!!binary ",
        "|\n",
        "%YAML 1.2\n",
        "\t",
        "\u{feff}",
        "\0",
        "\"",
        "'",
        "# ",
        "<<: *a\n",
        "port: 1e999\n",
        "port: .nan\n",
        "port: 0x50\n",
        "port: 99999999999999999999\n",
    ]);
    prop_oneof![
        4 => known.prop_map(str::to_owned),
        1 => any::<String>(),
        1 => (0usize..300, prop::sample::select(vec!["[", "{a: ", "- ", " "])).prop_map(|(times, text)| text.repeat(times)),
    ]
}

proptest! {
    #[test]
    fn any_text_is_objects_and_faults_of_one_line_each(pieces in prop::collection::vec(piece(), 0..12)) {
        let text = pieces.concat();
        for syntax in [Syntax::Yaml, Syntax::Json] {
            let lines: Vec<String> = match read(&text, syntax) {
                Ok(reading) => reading.faults.iter().map(ToString::to_string).chain(reading.ignored).collect(),
                Err(line) => vec![line],
            };
            prop_assert!(lines.iter().all(|line| !line.contains('\n')), "{lines:?}");
        }
    }
}
