/** The graphs of a cluster: its commit index, and beneath it, at the same times, which member led. */
import { drawn } from './element.js'
import { numberText } from './text.js'

/** Pixels. */
const HEIGHT = 104
const LANE = 22
const TOP = 8
const AXIS = 22
/** At least so much time is shown. */
const LEAST_MS = 120_000
/** A point stands for what comes after it, but not for longer: then nobody looked. */
const HOLDS_MS = 90_000

/** `width` in pixels; `members` in the order of their lanes; `left`: room for their names. */
export function graph({ leaders, points }, members, nowMs, width) {
  const left = Math.min(180, Math.max(56, 12 + 7.5 * Math.max(0, ...members.map((name) => name.length))))
  const right = width - 8
  const fromMs = Math.min(points[0]?.[0] ?? nowMs, nowMs - LEAST_MS)
  const x = (atMs) => left + ((right - left) * (atMs - fromMs)) / (nowMs - fromMs)
  const height = TOP + HEIGHT + 12 + members.length * LANE + AXIS
  const described = 'Commit index over time, and beneath it the member that led'
  const svg = drawn('svg', { width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': described })
  svg.append(...commits(points, nowMs, left, right, x), ...lanes(leaders, points, members, nowMs, left, right, x))
  svg.append(...times(fromMs, nowMs, height - 6, x))
  return svg
}

function commits(points, nowMs, left, right, x) {
  const values = points.map(([, commitIndex]) => commitIndex)
  const least = Math.min(...values)
  const most = Math.max(...values)
  const span = Math.max(1, most - least)
  const y = (value) => TOP + HEIGHT - ((value - least) / span) * HEIGHT
  const grid = [least, most].map((value) =>
    drawn('line', { class: 'grid', x1: left, x2: right, y1: y(value), y2: y(value) }),
  )
  const path = points.map(([atMs, value], i) => `${i === 0 ? 'M' : 'L'}${x(atMs).toFixed(1)} ${y(value).toFixed(1)}`)
  const last = values.at(-1)
  const end = `L${x(Math.min(nowMs, points.at(-1)[0] + HOLDS_MS)).toFixed(1)} ${y(last).toFixed(1)}`
  const labels = most === least ? [most] : [least, most]
  return [
    ...grid,
    drawn('path', { class: 'line', d: `${path.join('')}${end}` }),
    ...labels.map((value) => drawn('text', { class: 'figure', x: left - 8, y: y(value) + 4 }, numberText(value))),
  ]
}

function lanes(leaders, points, members, nowMs, left, right, x) {
  const top = TOP + HEIGHT + 12
  return members.flatMap((member, lane) => {
    const y = top + lane * LANE
    const which = leaders.indexOf(member)
    const bars = which === -1 ? [] : spans(points, which, nowMs)
    return [
      drawn('text', { class: 'lane', x: left - 8, y: y + 14 }, member),
      drawn('line', { class: 'grid', x1: left, x2: right, y1: y + 9.5, y2: y + 9.5 }),
      ...bars.map(({ fromMs, untilMs, term }) =>
        drawn(
          'rect',
          { class: 'led', x: x(fromMs), y: y + 4, width: Math.max(2, x(untilMs) - x(fromMs) - 1), height: 11, rx: 2 },
          drawn('title', {}, `${member} led, term ${term}`),
        ),
      ),
    ]
  })
}

/** From when until when the leader was that one, each term by itself. */
function spans(points, which, nowMs) {
  const found = []
  points.forEach(([atMs, , term, leader], i) => {
    if (leader !== which) return
    const untilMs = Math.min(points[i + 1]?.[0] ?? nowMs, atMs + HOLDS_MS)
    const before = found.at(-1)
    if (before?.untilMs === atMs && before.term === term) before.untilMs = untilMs
    else found.push({ fromMs: atMs, untilMs, term })
  })
  return found
}

function times(fromMs, nowMs, y, x) {
  const minutes = (nowMs - fromMs) / 60_000
  const step = [1, 2, 5, 10, 20].find((step) => minutes / step <= 4) ?? 30
  const ticks = Array.from({ length: Math.floor(minutes / step) + 1 }, (_, i) => i * step)
  return ticks.map((ago) =>
    drawn(
      'text',
      { class: ago === 0 ? 'tick last' : 'tick', x: x(nowMs - ago * 60_000), y },
      ago === 0 ? 'now' : `${ago} min ago`,
    ),
  )
}
