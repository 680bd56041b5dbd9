//! `tunstack plot`: a connection of a capture as a picture.

use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use log::warn;
use tunstack::plot::{
    self, Capture, CaptureError, Connection, Connections, Ending, Follower, MAX_CONNECTIONS,
    MAX_SAMPLES, MAX_SEGMENTS, Samples, SamplesError, SentKind, Trace, Unit, quantity,
};
use tunstack::time::Instant;
use tunstack::wire::codec::{self, Observed};

use super::Failure;
use super::arguments::Plot;

/// Lists the connections of a capture, or draws one.
pub(super) fn run(arguments: &Plot) -> Result<(), Failure> {
    let file = &arguments.file;
    let connections = connections(file)?;
    let Some(busiest) = connections.busiest() else {
        return Err(Failure::new(format!(
            "there is no TCP segment in {}: give a capture that has some",
            file.display()
        )));
    };
    if arguments.list {
        return list(connections.list())
            .map_err(|error| Failure::new(format!("cannot write to standard output: {error}")));
    }
    let place = match arguments.connection {
        None => busiest,
        Some(number) => number.get() - 1,
    };
    let Some(connection) = connections.list().get(place) else {
        return Err(Failure::new(format!(
            "--connection {} is not in {}: give 1 to {}, see `tunstack plot {} --list`",
            place + 1,
            file.display(),
            connections.list().len(),
            file.display()
        )));
    };
    let output = output(arguments)?;
    let mut trace = follow(file, place, connection)?;
    if let Some(samples) = &arguments.samples {
        add_samples(samples, file, &mut trace)?;
    }
    let shown = cut(arguments, place, connection, &mut trace)?;
    trace.subtitle = subtitle(connection, &trace, shown);
    let svg = plot::draw(&trace).map_err(Failure::new)?;
    write(&output, svg.as_bytes()).map_err(|error| {
        Failure::new(format!(
            "cannot write the picture {}: {error}: give another with `--output FILE.svg`",
            output.display()
        ))
    })?;
    announce(&output, place, connection)
        .map_err(|error| Failure::new(format!("cannot write to standard output: {error}")))
}

/// Where the picture goes, which must not be where the capture is.
fn output(arguments: &Plot) -> Result<PathBuf, Failure> {
    let (file, output) = (&arguments.file, arguments.output.clone());
    let output = output.unwrap_or_else(|| file.with_extension("svg"));
    let is_same = |input: &Path| match (fs::canonicalize(input), fs::canonicalize(&output)) {
        (Ok(input), Ok(output)) => input == output,
        _ => false,
    };
    for (what, input) in [("capture", Some(file)), ("samples", arguments.samples.as_ref())] {
        if let Some(input) = input.filter(|input| is_same(input)) {
            return Err(Failure::new(format!(
                "the picture would overwrite the {what} {}: give another file with `--output FILE.svg`",
                input.display()
            )));
        }
    }
    Ok(output)
}

/// Hands out every TCP segment of the capture.
fn for_each_segment(
    file: &Path,
    mut segment: impl FnMut(Instant, &Observed<'_>),
) -> Result<Ending, Failure> {
    let refused = |error: CaptureError| {
        Failure::new(format!("cannot read the capture {}: {error}", file.display()))
    };
    // A pipe has nothing for a second reader, and one with a name would keep the first waiting.
    let metadata = fs::metadata(file).map_err(CaptureError::Io).map_err(refused)?;
    if !metadata.is_file() {
        return Err(Failure::new(format!(
            "cannot read the capture {}: it is read twice, so give a file and neither a pipe nor a directory",
            file.display()
        )));
    }
    let opened = File::open(file).map_err(CaptureError::Io).map_err(refused)?;
    let capture = Capture::open(opened).map_err(refused)?;
    capture
        .for_each(|at, bytes, wire_len| {
            if let Some(seen) = codec::observe(bytes, wire_len) {
                segment(at, &seen);
            }
        })
        .map_err(refused)
}

/// The first pass: which connections there are.
fn connections(file: &Path) -> Result<Connections, Failure> {
    let mut connections = Connections::default();
    let ending = for_each_segment(file, |at, seen| {
        connections.add(at, seen);
    })?;
    match ending {
        Ending::Whole => {}
        Ending::CutShort => warn!("{} ends within a record, which is left out", file.display()),
        Ending::Damaged => {
            warn!("{} is damaged: what comes behind that is left out", file.display());
        }
    }
    if connections.left_out() > 0 {
        warn!(
            "{} packets are of connections beyond the first {MAX_CONNECTIONS}, and left out",
            connections.left_out()
        );
    }
    Ok(connections)
}

/// The second pass: what happened in one of them.
fn follow(file: &Path, place: usize, connection: &Connection) -> Result<Trace, Failure> {
    let (mut connections, mut follower) = (Connections::default(), Follower::default());
    for_each_segment(file, |at, seen| {
        if connections.add(at, seen) == Some(place) {
            follower.on_header(at, connection.side(seen), &seen.segment, seen.text_len);
        }
    })?;
    let (left_out, strays) = (follower.left_out(), follower.strays());
    if left_out > 0 {
        warn!(
            "of the connection, {left_out} segments beyond the first {MAX_SEGMENTS} are left out"
        );
    }
    if strays > 0 {
        warn!("of the connection, {strays} segments lie beyond any window and are left out");
    }
    let mut trace = follower.finish();
    trace.title = format!("{} to {}", connection.sender(), connection.receiver());
    if left_out > 0 {
        trace.subtitle = format!("the last {left_out} are left out");
    }
    trace.zero = trace.span().map(|(first, _)| first);
    Ok(trace)
}

/// What the sender knew goes into the picture, too.
fn add_samples(file: &Path, capture: &Path, trace: &mut Trace) -> Result<(), Failure> {
    let refused = |error: SamplesError| {
        Failure::new(format!(
            "cannot read the samples {}: {error}: give what the simulator has written beside the capture",
            file.display()
        ))
    };
    let opened = File::open(file).map_err(SamplesError::Io).map_err(refused)?;
    let samples = Samples::read(BufReader::new(opened)).map_err(refused)?;
    let apart = samples
        .span()
        .zip(trace.span())
        .is_none_or(|(one, other)| one.1 < other.0 || other.1 < one.0);
    if apart {
        return Err(Failure::new(format!(
            "the samples {} are of another time than the connection in {}: give those of the same run",
            file.display(),
            capture.display()
        )));
    }
    if samples.left_out() > 0 {
        warn!("{} samples beyond the first {MAX_SAMPLES} are left out", samples.left_out());
    }
    samples.add_to(trace);
    Ok(())
}

/// Leaves of the picture what is asked for; answers from when to when, in words, if that is not all.
fn cut(
    arguments: &Plot,
    place: usize,
    connection: &Connection,
    trace: &mut Trace,
) -> Result<Option<String>, Failure> {
    if arguments.from.is_none() && arguments.to.is_none() {
        return Ok(None);
    }
    let (from, to) = (arguments.from.unwrap_or_default(), arguments.to);
    if to.is_some_and(|to| to <= from) {
        return Err(Failure::new(
            "--to is not later than --from, which is 0 if it is not given: give a later time"
                .to_owned(),
        ));
    }
    let zero = trace.zero.unwrap_or_default();
    let end = zero + to.unwrap_or(Duration::MAX);
    if from < connection.duration() {
        trace.cut(zero + from, end);
        if trace.span().is_none() {
            return Err(Failure::new(format!(
                "connection {} has nothing to show from --from to --to: give a longer time",
                place + 1
            )));
        }
    } else {
        return Err(Failure::new(format!(
            "--from {} lies behind the end of connection {}: give less than {}",
            from.as_secs_f64(),
            place + 1,
            connection.duration().as_secs_f64()
        )));
    }
    Ok(Some(match to {
        Some(to) if from.is_zero() => format!("the first {}", seconds(to)),
        Some(to) => format!("from {} to {}", seconds(from), seconds(to)),
        None => format!("from {} on", seconds(from)),
    }))
}

/// What there is in numbers, above all of what is shown.
fn subtitle(connection: &Connection, trace: &Trace, shown: Option<String>) -> String {
    let count = |kind| trace.sent.iter().filter(|sent| sent.kind == kind).count();
    let mut parts = vec![summary(connection)];
    parts.extend(shown);
    for (kind, name) in [(SentKind::Again, "sent again"), (SentKind::OutOfOrder, "out of order")] {
        match count(kind) {
            0 => {}
            1 => parts.push(format!("1 segment {name}")),
            many => parts.push(format!("{many} segments {name}")),
        }
    }
    if !trace.subtitle.is_empty() {
        parts.push(trace.subtitle.clone());
    }
    parts.join("; ")
}

/// `1.46 MiB in 20.3 ms, 1234 packets`.
fn summary(connection: &Connection) -> String {
    format!(
        "{} in {}, {} packets",
        quantity(connection.sender_bytes() as f64, Unit::Bytes),
        seconds(connection.duration()),
        connection.packets()
    )
}

fn seconds(duration: Duration) -> String {
    quantity(duration.as_secs_f64(), Unit::Seconds)
}

fn list(connections: &[Connection]) -> io::Result<()> {
    let rows: Vec<[String; 6]> = connections
        .iter()
        .enumerate()
        .map(|(place, connection)| {
            [
                (place + 1).to_string(),
                connection.sender().to_string(),
                connection.receiver().to_string(),
                connection.packets().to_string(),
                connection.bytes().to_string(),
                format!("{:.6}", connection.duration().as_secs_f64()),
            ]
        })
        .collect();
    let heads = ["number", "sender", "receiver", "packets", "bytes", "seconds"];
    let mut widths = heads.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.len().max(*width);
        }
    }
    let mut stdout = io::BufWriter::new(io::stdout().lock());
    let [n, s, r, p, b, t] = widths;
    for [number, sender, receiver, packets, bytes, seconds] in
        std::iter::once(heads.map(str::to_owned)).chain(rows)
    {
        writeln!(
            stdout,
            "{number:>n$}  {sender:<s$}  {receiver:<r$}  {packets:>p$}  {bytes:>b$}  {seconds:>t$}"
        )?;
    }
    stdout.flush()
}

/// Writes the file as a whole or not at all: beside it first, and then in its place.
fn write(output: &Path, bytes: &[u8]) -> io::Result<()> {
    let is_special = fs::metadata(output).is_ok_and(|metadata| !metadata.is_file());
    let Some(name) = output.file_name().filter(|_| !is_special) else {
        // A device or a pipe is nothing that another file could take the place of.
        return fs::write(output, bytes);
    };
    // Where a link leads to is what is replaced.
    let output = fs::canonicalize(output).unwrap_or_else(|_| output.to_owned());
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}", std::process::id()));
    let beside = output.with_file_name(beside);
    let result = fs::write(&beside, bytes).and_then(|()| fs::rename(&beside, &output));
    if result.is_err() {
        // It may not have come into being, in which case there is nothing to remove.
        let _ = fs::remove_file(&beside);
    }
    result
}

fn announce(output: &Path, place: usize, connection: &Connection) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(
        stdout,
        "{}: connection {}, {} to {}, {}",
        output.display(),
        place + 1,
        connection.sender(),
        connection.receiver(),
        summary(connection)
    )
}
