/** The page's looks: light and dark, by what the reader's system prefers. */
export const style = `
:root {
  color-scheme: light dark;
  --ground: #fbfbfa; --card: #ffffff; --ink: #1d2126; --quiet: #626a73; --line: #d9dde2;
  --pass: #1a7f4b; --fail: #c5283d; --unknown: #9a6700; --fault: #c5283d; --recovery: #5b4fc4;
  --flow: #2f7fb8; --flow-fill: #2f7fb833; --wait: #b25d00; --band: #c5283d14;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171a; --card: #1c2024; --ink: #e6e8ea; --quiet: #9aa3ad; --line: #343a41;
    --pass: #4cc38a; --fail: #ff7a85; --unknown: #e3b341; --fault: #ff7a85; --recovery: #a99cff;
    --flow: #6cb6ec; --flow-fill: #6cb6ec33; --wait: #f0a04b; --band: #ff7a8518;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 24px 20px 60px; }
h1 { font-size: 22px; line-height: 1.35; margin: 0 0 4px; font-weight: 650; }
h2 { font-size: 17px; margin: 36px 0 8px; }
p { margin: 4px 0; } .quiet { color: var(--quiet); } .small { font-size: 13px; }
pre { margin: 0; font: inherit; white-space: pre-wrap; overflow-wrap: anywhere; }
code { font: 13px ui-monospace, monospace; overflow-wrap: anywhere; }
.verdict { display: inline-block; padding: 1px 9px; border-radius: 4px; color: var(--card); font-weight: 700; font-size: 13px;
  letter-spacing: .04em; vertical-align: 2px; }
.pass { background: var(--pass); } .fail { background: var(--fail); } .unknown { background: var(--unknown); }
figure, .scroll, details { background: var(--card); border: 1px solid var(--line); border-radius: 6px; }
figure { margin: 8px 0; padding: 8px; overflow-x: auto; } figcaption { color: var(--quiet); font-size: 13px; padding: 0 4px 6px; }
svg { display: block; width: 100%; min-width: 760px; height: auto; font: 11px system-ui, sans-serif; fill: var(--ink); }
.scroll { overflow-x: auto; margin: 8px 0; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th, td { text-align: left; vertical-align: top; padding: 6px 12px; border-bottom: 1px solid var(--line); }
th { color: var(--quiet); font-weight: 600; font-size: 13px; white-space: nowrap; } tbody tr:last-child td { border-bottom: 0; }
details { margin: 8px 0; padding: 8px 12px; } details figure { border: 0; padding: 8px 0 0; margin: 0; }
td details { border: 0; padding: 0; margin: 2px 0; } summary { cursor: pointer; }
ul { margin: 4px 0; padding-left: 18px; font-size: 13px; }
.axis { stroke: var(--line); stroke-width: 1; } .label { fill: var(--quiet); } .name { font-weight: 600; }
.flow { fill: var(--flow-fill); stroke: var(--flow); stroke-width: 1.2; }
.slowest { fill: none; stroke: var(--wait); stroke-width: 1.2; stroke-linejoin: round; }
.band { fill: var(--band); } .fault-line { stroke: var(--fault); stroke-width: 1.4; }
.fault-mark { fill: var(--fault); } .fault-mark text { fill: var(--card); font-weight: 700; font-size: 10px; text-anchor: middle; }
.incident { fill: var(--recovery); opacity: .28; } .step { fill: var(--recovery); } .milestone { stroke: var(--recovery); stroke-width: 1.2; stroke-dasharray: 3 2; }
.milestone-name { fill: var(--recovery); } .fault-name { fill: var(--fault); font-weight: 600; }
.error { fill: var(--fail); } .op-ok { fill: var(--flow); } .op-read { fill: var(--flow); opacity: .45; }
.op-fail { fill: var(--fail); } .op-unknown { fill: var(--unknown); }
.legend i { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin: 0 5px 0 14px; vertical-align: -1px; }
`;
