//! Manifests change, and traffic follows.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::stage::Stage;
use super::story::Story;
use super::traffic::{Address, CART, WEB_BALANCER, WEB_CLUSTER, WEB_NODE_B, web};
use crate::cluster::Place;
use crate::peer::{Open, Transport};
use crate::plan::Ip;
use crate::wait;

/// Requests that must all come out as they should before a change counts as followed.
const SAMPLE: u32 = 30;

/// The chapter: an endpoint goes, another comes, a Service is deleted.
pub(super) fn endpoints_and_services(stage: &Stage, story: &mut Story) -> Result<()> {
    story.chapter("pod-b-0 is taken out of examples/web-endpoints.yaml, then pod-a-2 is put in");
    let gone = ["[10.244.2.2]", "[\"fd00:10:244:2::2\"]"];
    stage.edit("web-endpoints.yaml", |text| {
        text.lines()
            .filter(|line| !gone.iter().any(|address| line.contains(address)))
            .map(with_end)
            .collect()
    })?;
    follows(stage, story, "pod-b-0 gets no new connection", |names| {
        !names.contains(&"pod-b-0")
    })?;
    stage.edit("web-endpoints.yaml", |text| {
        let added = |line: &str| line.replace("1.3]", "1.4]").replace("1::3\"]", "1::4\"]");
        let is_pod_a_1 = |line: &str| line.contains("[10.244.1.3]") || line.contains("[\"fd00:10:244:1::3\"]");
        let doubled = |line| {
            if is_pod_a_1(line) {
                with_end(line) + &with_end(&added(line))
            } else {
                with_end(line)
            }
        };
        text.lines().map(doubled).collect()
    })?;
    follows(stage, story, "pod-a-2 gets its share", |names| {
        names.contains(&"pod-a-2")
    })?;
    story.chapter("The Service shop/cart is deleted");
    cart_goes(stage, story)
}

fn with_end(line: &str) -> String {
    format!("{line}\n")
}

/// Waits until a sample from every side comes out as `right` says, and tells how long it took.
fn follows(stage: &Stage, story: &mut Story, sentence: &str, right: impl Fn(&[&str]) -> bool) -> Result<()> {
    let begin = Instant::now();
    let (pod, client): (&Place, &Place) = (stage.world.pod(0, 0), &stage.world.client);
    for (from, to) in [(pod, WEB_CLUSTER), (client, WEB_BALANCER), (client, WEB_NODE_B)] {
        for ip in Ip::BOTH {
            let mut failed = Vec::new();
            let followed = wait::until(sentence, Duration::from_secs(5), || {
                let answers = web(from, to.at(ip), SAMPLE)?;
                let names: Vec<&str> = answers.by.keys().map(String::as_str).collect();
                failed.extend(answers.failed);
                Ok(right(&names).then_some(begin.elapsed()))
            });
            let way = format!("from {} to {} {}", from.label(), to.what, to.at(ip));
            let after = followed
                .as_ref()
                .map_or_else(|_| "never".to_owned(), |took| format!("within {took:.0?}"));
            story.check(
                followed.is_ok() && failed.is_empty(),
                &format!("{sentence}: {way}, {after}, no request failed"),
            );
        }
    }
    Ok(())
}

fn cart_goes(stage: &Stage, story: &mut Story) -> Result<()> {
    let pod: &Place = stage.world.pod(0, 0);
    for ip in Ip::BOTH {
        let before = web(pod, CART.at(ip), SAMPLE)?;
        let answered = before.by.keys().eq(["pod-b-1"]) && before.failed.is_empty();
        story.check(answered, &format!("before: pod-b-1 answers on {}", CART.at(ip)));
    }
    stage.delete("cart.yaml")?;
    for ip in Ip::BOTH {
        let silent = wait::until_true("silence", Duration::from_secs(5), || nobody_answers(pod, CART, ip));
        story.check(silent.is_ok(), &format!("after: nobody answers on {}", CART.at(ip)));
        let others = web(pod, WEB_CLUSTER.at(ip), SAMPLE)?;
        story.check(
            others.failed.is_empty(),
            &format!("shop/web still answers on {}", WEB_CLUSTER.at(ip)),
        );
    }
    Ok(())
}

/// Whether a connection is refused, or not answered within a second.
pub(super) fn nobody_answers(from: &Place, to: Address, ip: Ip) -> Result<bool> {
    let how = Open {
        transport: Transport::Http,
        to: to.at(ip),
        from: None,
        within: Duration::from_secs(1),
    };
    Ok(from.peer()?.try_open(how)?.is_err())
}
