//! Quantities as people read them.

use super::trace::Unit;

/// A unit for an axis: what values are divided by, and the name of what they then are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) divisor: f64,
    /// Empty for things that are counted.
    pub(super) name: &'static str,
}

const KIB: f64 = 1024.0;

const BYTES: [(f64, &str, &str); 5] = [
    (1.0, "B", "B/s"),
    (KIB, "KiB", "KiB/s"),
    (KIB * KIB, "MiB", "MiB/s"),
    (KIB * KIB * KIB, "GiB", "GiB/s"),
    (KIB * KIB * KIB * KIB, "TiB", "TiB/s"),
];

const SECONDS: [(f64, &str); 4] = [(1e-9, "ns"), (1e-6, "us"), (1e-3, "ms"), (1.0, "s")];

impl Scale {
    /// The largest unit of which `most` is at least two, so that an axis has whole numbers.
    pub(super) fn new(unit: Unit, most: f64) -> Self {
        let fits = |divisor: f64| most >= 2.0 * divisor;
        let scale = |(divisor, name)| Self { divisor, name };
        match unit {
            Unit::Bytes | Unit::BytesPerSecond => {
                let (divisor, bytes, rate) =
                    BYTES.into_iter().rfind(|unit| fits(unit.0)).unwrap_or(BYTES[0]);
                scale((divisor, if unit == Unit::Bytes { bytes } else { rate }))
            }
            Unit::Seconds => {
                scale(SECONDS.into_iter().rfind(|unit| fits(unit.0)).unwrap_or(SECONDS[0]))
            }
            Unit::Count => scale((1.0, "")),
        }
    }

    /// The title of an axis with this unit.
    pub(super) fn title(&self, what: &str) -> String {
        if self.name.is_empty() { what.to_owned() } else { format!("{what} ({})", self.name) }
    }
}

/// A quantity in three digits and the unit that suits it: `1.46 MiB`, `20.3 ms`.
pub fn quantity(value: f64, unit: Unit) -> String {
    // A unit of which it is at least one.
    let scale = Scale::new(unit, value * 2.0);
    let scaled = value / scale.divisor;
    let decimals = match scaled {
        _ if scaled.fract() == 0.0 => 0,
        _ if scaled < 10.0 => 2,
        _ if scaled < 100.0 => 1,
        _ => 0,
    };
    format!("{scaled:.decimals$} {}", scale.name).trim_end().to_owned()
}

/// A number beside an axis, without zeros that say nothing.
pub(super) fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_the_unit_that_suits_its_end() {
        for (unit, most, name) in [
            (Unit::Bytes, 0.0, "B"),
            (Unit::Bytes, 2047.0, "B"),
            (Unit::Bytes, 2048.0, "KiB"),
            (Unit::Bytes, 3e6, "MiB"),
            (Unit::BytesPerSecond, 3e9, "GiB/s"),
            (Unit::Seconds, 0.000_3, "us"),
            (Unit::Seconds, 1.5, "ms"),
            (Unit::Seconds, 4000.0, "s"),
            (Unit::Count, 4000.0, ""),
        ] {
            assert_eq!(Scale::new(unit, most).name, name, "{most}");
        }
        assert_eq!(Scale::new(Unit::Bytes, 3e6).title("sequence number"), "sequence number (MiB)");
        assert_eq!(Scale::new(Unit::Count, 3e6).title("queue"), "queue");
    }

    #[test]
    fn quantities_have_three_digits() {
        assert_eq!(quantity(1_530_000.0, Unit::Bytes), "1.46 MiB");
        assert_eq!(quantity(999.0, Unit::Bytes), "999 B");
        assert_eq!(quantity(0.020_34, Unit::Seconds), "20.3 ms");
        assert_eq!(quantity(2.0, Unit::Seconds), "2 s");
        assert_eq!(quantity(0.0, Unit::Seconds), "0 ns");
        assert_eq!(quantity(12.0, Unit::Count), "12");
    }

    #[test]
    fn numbers_end_where_they_end() {
        for (value, text) in
            [(0.0, "0"), (-0.000_1, "0"), (1.5, "1.5"), (200.0, "200"), (0.25, "0.25")]
        {
            assert_eq!(number(value), text);
        }
    }
}
