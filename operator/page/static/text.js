/** How figures and times are told. Knows no document. */

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB']

export function sizeText(bytes) {
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${UNITS[unit]}`
}

const THIN_SPACE = '\u2009'

/** 1234567 as 1 234 567. */
export function numberText(value) {
  return String(value).replace(/\B(?=(\d{3})+$)/g, THIN_SPACE)
}

export function ageText(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h`
  return `${Math.floor(seconds / 86_400)} d`
}

/** Entries a second over the last minute; undefined: too little is known. */
export function rateOf(points) {
  const last = points.at(-1)
  const first = points.find(([atMs]) => last[0] - atMs <= 60_000)
  if (last === undefined || last[0] - first[0] < 5000) return undefined
  return Math.max(0, (last[1] - first[1]) / ((last[0] - first[0]) / 1000))
}
