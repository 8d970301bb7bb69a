/** How long ago something was, as kubectl shows it. Source: apimachinery, duration.HumanDuration (rules only). */
const SECOND = 1
const MINUTE = 60
const HOUR = 3600
const DAY = 86_400
const YEAR = 365 * DAY

export function humanDuration(totalMs: number): string {
  const seconds = Math.trunc(totalMs / 1000)
  if (seconds < -1) return '<invalid>'
  if (seconds < 0) return '0s'
  if (seconds < 2 * MINUTE) return `${seconds / SECOND}s`
  const minutes = Math.floor(seconds / MINUTE)
  if (minutes < 10) return two(minutes, 'm', seconds % MINUTE, 's')
  if (minutes < 180) return `${minutes}m`
  const hours = Math.floor(seconds / HOUR)
  if (hours < 8) return two(hours, 'h', minutes % 60, 'm')
  if (hours < 48) return `${hours}h`
  const days = Math.floor(seconds / DAY)
  if (hours < 192) return two(days, 'd', hours % 24, 'h')
  if (days < 730) return `${days}d`
  const years = Math.floor(seconds / YEAR)
  return years < 8 ? two(years, 'y', days % 365, 'd') : `${years}y`
}

function two(first: number, firstUnit: string, second: number, secondUnit: string): string {
  return second === 0 ? `${first}${firstUnit}` : `${first}${firstUnit}${second}${secondUnit}`
}

/** "<unknown>" for what is no time. */
export function age(time: string, nowMs: number): string {
  const thenMs = Date.parse(time)
  return Number.isNaN(thenMs) ? '<unknown>' : humanDuration(nowMs - thenMs)
}
