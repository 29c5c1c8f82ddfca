//! The demonstration: what a node does with Fairlead on it, shown with real packets and told line by line.

mod story;
mod stage;
mod traffic;
mod table;
mod changes;
mod crash;
mod ending;

use anyhow::{Result, bail};

use crate::cluster::{leftovers, remove_world};
use crate::interrupt::clean_up_on_interrupt;

use stage::Stage;
use story::Story;

/// The name of the demonstration's world: there is one at a time on a machine.
const NAME: &str = "fairlead-demo";

/// Tells the whole story; with `keep` the cluster is left up at the end.
///
/// # Errors
/// When the cluster cannot be made, or anything did not come out as said.
pub fn run(keep: bool) -> Result<()> {
    clean_up_on_interrupt("cleaning up", || remove_world(NAME))?;
    if !leftovers(NAME).is_empty() {
        println!("removing what an earlier demonstration left up");
        remove_world(NAME)?;
    }
    let mut story = Story::new();
    let mut stage = Stage::set(&mut story)?;
    let told = tell(&mut stage, &mut story);
    if keep {
        ending::keep(stage);
    } else {
        ending::clean_up(stage, &mut story)?;
    }
    told?;
    story.end()
}

fn tell(stage: &mut Stage, story: &mut Story) -> Result<()> {
    traffic::everyone_to_every_address(stage, story)?;
    stage.ask(story)?;
    changes::endpoints_and_services(stage, story)?;
    crash::in_mid_traffic(stage, story)
}

/// Removes a demonstration's cluster that was left up.
///
/// # Errors
/// When something of it is still there afterwards.
pub fn down() -> Result<()> {
    if leftovers(NAME).is_empty() {
        println!("no demonstration is up");
        return Ok(());
    }
    remove_world(NAME)?;
    let left = leftovers(NAME);
    if !left.is_empty() {
        bail!("still there: {}", left.join(", "));
    }
    println!("removed: processes, namespaces, pins, cgroups, files");
    Ok(())
}
