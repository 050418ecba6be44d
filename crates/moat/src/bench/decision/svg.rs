//! Curves on logarithmic axes, side by side, as SVG.

use std::fmt;

/// Colours that the colour-blind can tell apart, each with a dash of its own.
const STYLES: [(&str, &str); 5] = [
    ("#0072b2", "none"),
    ("#d55e00", "7 3"),
    ("#009e73", "2 3"),
    ("#cc79a7", "7 3 2 3"),
    ("#56b4e9", "12 3"),
];
/// Size of a panel, and of the room for curves in it, in pixels.
const PANEL: (f64, f64) = (330.0, 290.0);
const ROOM: (f64, f64) = (250.0, 170.0);
const CORNER: (f64, f64) = (62.0, 34.0);
/// Where the legend begins, and how far its entries are apart.
const LEGEND: f64 = ROOM.1 + 50.0;
const ENTRY: (f64, f64) = (130.0, 15.0);

/// Panels in rows.
pub(super) struct Drawing {
    pub(super) title: String,
    pub(super) rows: Vec<Vec<Panel>>,
}

/// Curves over one axis.
pub(super) struct Panel {
    pub(super) title: String,
    /// What grows.
    pub(super) axis: &'static str,
    pub(super) curves: Vec<Curve>,
}

/// How long something takes, in nanoseconds, by how much there is.
pub(super) struct Curve {
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, f64)>,
}

/// A logarithmic axis of so many pixels.
struct Axis {
    low: f64,
    high: f64,
    pixels: f64,
}

impl Axis {
    /// As long as the values; `step` is the factor between two ticks, at which it begins and ends.
    fn around(values: impl Iterator<Item = f64>, step: f64, pixels: f64) -> Self {
        let values = values
            .filter(|value| *value > 0.0)
            .map(|value| value.log(step));
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(low, high), value| {
            (low.min(value), high.max(value))
        });
        // A value is at a tick although its logarithm is not quite.
        let (low, high) = ((low + 1e-9).floor(), (high - 1e-9).ceil());
        Self {
            low: step.powf(low),
            high: step.powf(high.max(low + 1.0)),
            pixels,
        }
    }

    fn place(&self, value: f64) -> f64 {
        (value / self.low).ln() / (self.high / self.low).ln() * self.pixels
    }

    fn ticks(&self, step: f64) -> impl Iterator<Item = f64> {
        let ticks = std::iter::successors(Some(self.low), move |tick| Some(tick * step));
        let end = self.high * 1.001;
        ticks.take_while(move |tick| *tick <= end)
    }
}

impl fmt::Display for Drawing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = across(columns, PANEL.0);
        let height = across(self.rows.len(), PANEL.1) + CORNER.1;
        writeln!(
            f,
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="11">"#
        )?;
        writeln!(f, r##"<rect width="100%" height="100%" fill="#ffffff"/>"##)?;
        writeln!(
            f,
            r#"<text x="12" y="22" font-size="14" font-weight="bold">{}</text>"#,
            self.title
        )?;
        for (row, panels) in self.rows.iter().enumerate() {
            for (column, panel) in panels.iter().enumerate() {
                let (x, y) = (across(column, PANEL.0), across(row, PANEL.1));
                let (x, y) = (x + CORNER.0, y + CORNER.1 + CORNER.1);
                writeln!(f, r#"<g transform="translate({x},{y})">"#)?;
                panel.draw(f)?;
                writeln!(f, "</g>")?;
            }
        }
        writeln!(f, "</svg>")
    }
}

impl Panel {
    fn draw(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let most = points().map(|(x, _)| *x).fold(0.0, f64::max);
        // Few of something are counted by doubling.
        let step = if most > 256.0 { 10.0 } else { 2.0 };
        let across = Axis::around(points().map(|(x, _)| *x), step, ROOM.0);
        let up = Axis::around(points().map(|(_, y)| *y), 10.0, ROOM.1);
        let (width, height) = ROOM;
        writeln!(
            f,
            r#"<text y="-10" font-size="12" font-weight="bold">{}</text>"#,
            self.title
        )?;
        for tick in across.ticks(step) {
            let x = across.place(tick);
            writeln!(
                f,
                r##"<path d="M{x:.1} 0V{height}" stroke="#dddddd"/><text x="{x:.1}" y="{:.1}" text-anchor="middle">{}</text>"##,
                height + 14.0,
                count(tick)
            )?;
        }
        for tick in up.ticks(10.0) {
            let y = height - up.place(tick);
            writeln!(
                f,
                r##"<path d="M0 {y:.1}H{width}" stroke="#dddddd"/><text x="-6" y="{:.1}" text-anchor="end">{}</text>"##,
                y + 4.0,
                duration(tick)
            )?;
        }
        writeln!(
            f,
            r#"<text x="{}" y="{}" text-anchor="middle">{}</text>"#,
            width / 2.0,
            height + 30.0,
            self.axis
        )?;
        for (number, (curve, (colour, dash))) in self.curves.iter().zip(STYLES).enumerate() {
            let style = format!(
                r#"stroke="{colour}" stroke-width="1.8" stroke-dasharray="{dash}" fill="none""#
            );
            let places = curve.points.iter();
            let places = places.map(|(x, y)| (across.place(*x), height - up.place(*y)));
            let line: Vec<String> = places.map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            writeln!(f, r#"<polyline points="{}" {style}/>"#, line.join(" "))?;
            let (x, y) = (
                self::across(number % 2, ENTRY.0),
                self::across(number / 2, ENTRY.1),
            );
            let y = LEGEND + y;
            writeln!(
                f,
                r#"<path d="M{x} {:.1}h26" {style}/><text x="{}" y="{y:.1}">{}</text>"#,
                y - 4.0,
                x + 31.0,
                curve.name
            )?;
        }
        Ok(())
    }
}

/// How far so many of a width reach.
fn across(count: usize, width: f64) -> f64 {
    u32::try_from(count).map_or(0.0, f64::from) * width
}

fn count(number: f64) -> String {
    match number {
        number if number >= 1e6 => format!("{} M", number / 1e6),
        number if number >= 1e4 => format!("{} k", number / 1e3),
        number => format!("{number:.0}"),
    }
}

/// Of nanoseconds.
fn duration(nanoseconds: f64) -> String {
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")];
    let mut units = units.into_iter();
    let unit = units.find(|(unit, _)| nanoseconds >= unit * 0.999);
    let (unit, name) = unit.unwrap_or((1.0, "ns"));
    format!("{:.0} {name}", nanoseconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_begin_and_end_at_ticks_around_the_values() {
        let axis = Axis::around([10.0, 100_000.0].into_iter(), 10.0, 100.0);
        assert_eq!(axis.ticks(10.0).count(), 5);
        assert_eq!((axis.place(10.0), axis.place(100_000.0)), (0.0, 100.0));
        let axis = Axis::around([3.0, 60.0].into_iter(), 2.0, 100.0);
        let ticks: Vec<f64> = axis.ticks(2.0).collect();
        assert_eq!(ticks, [2.0, 4.0, 8.0, 16.0, 32.0, 64.0]);
        // One value alone has an axis, too.
        let axis = Axis::around([10.0].into_iter(), 10.0, 100.0);
        assert_eq!(axis.place(10.0), 0.0);
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(
            [10.0, 1000.0, 1e5, 1e6].map(count),
            ["10", "1000", "100 k", "1 M"]
        );
        assert_eq!(
            [1.0, 1e3, 1e5, 1e9].map(duration),
            ["1 ns", "1 µs", "100 µs", "1 s"]
        );
    }
}
