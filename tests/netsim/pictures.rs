//! The pictures of the README, made anew: each is a run that is recorded, and drawn by the program as
//! anybody draws a capture.

use std::path::Path;
use std::process::Command;

use crate::common::{ms, secs};
use crate::record;
use crate::scenarios::{Length, Scenario, bandwidth_delay, controller, mbit, wan};

/// Where they are, from the root of the crate.
const PICTURES: &str = "tests/netsim/pictures";

/// A picture: its name, what is run, with which controller, and what else the program is told.
type Picture = (&'static str, Scenario, &'static str, &'static [&'static str]);

fn pictures() -> Vec<Picture> {
    let wan = wan(Length::Quick, "wan");
    let one_lost = wan.with(|plan| plan.links[0].lost_segments = vec![2_500]);
    // So long a round trip that CUBIC's own curve is what counts, and not what Reno would do.
    let (rate, rtt) = (mbit(24), ms(100));
    let long = Scenario { rate, rtt, queue: bandwidth_delay(rate, rtt), ..wan };
    vec![
        ("slow-start", wan, "cubic", &["--to", "1"]),
        ("recovery", one_lost, "cubic", &["--from", "1.5", "--to", "1.8"]),
        ("cubic", long.longer(secs(1), secs(30)), "cubic", &["--from", "2"]),
    ]
}

/// Makes them.
pub(crate) fn draw() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(PICTURES);
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR"));
    for (name, scenario, with, arguments) in pictures() {
        let named = controller(with);
        let [trace, capture] = record(&scenario, named, directory);
        let picture = root.join(name).with_extension("svg");
        let status = Command::new(env!("CARGO_BIN_EXE_tunstack"))
            .arg("plot")
            .args([
                capture.as_path(),
                Path::new("--samples"),
                &trace,
                Path::new("--output"),
                &picture,
            ])
            .args(arguments)
            .status();
        assert!(status.unwrap().success(), "{name}");
        [trace, capture].iter().for_each(|file| std::fs::remove_file(file).unwrap());
    }
}
