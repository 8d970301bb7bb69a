/** What was given as flags, wherever it stood: on the command line, in the environment, in a config file. */
import { classOf, type Flag } from './flag.ts'
import { parseDurationMs } from './duration.ts'
import { flagOf, type FlagName } from './table.ts'

export interface Given {
  readonly values: ReadonlyMap<FlagName, string>
  /** A config file fills up with defaults what it does not name; on the command line some flags go together. */
  readonly source: 'flags' | 'file'
  readonly wants: 'run' | 'help' | 'version'
  readonly warnings: readonly string[]
  readonly problems: readonly string[]
}

/** As Go reads one (strconv.ParseBool). */
export function parseSwitch(text: string): boolean | undefined {
  if (/^(1|t|T|true|TRUE|True)$/.test(text)) return true
  if (/^(0|f|F|false|FALSE|False)$/.test(text)) return false
  return undefined
}

export interface Judged {
  readonly warnings: readonly string[]
  readonly problems: readonly string[]
}

/** Of the flags that do nothing here: which only deserve a word, and which end the start. */
export function judge(values: ReadonlyMap<FlagName, string>): Judged {
  const warnings: string[] = []
  const problems: string[] = []
  for (const [name, text] of values) {
    const flag = flagOf(name)
    if (classOf(flag) === 'implemented') continue
    const problem = syntaxProblem(flag, text)
    if (problem !== undefined) problems.push(`--${name}: ${problem}`)
    else if (isHarmless(flag, text)) continue
    else if (flag.refused !== undefined) problems.push(`--${name}=${text} cannot be had: ${flag.refused}`)
    else warnings.push(`--${name} has no effect: ${flag.ignored}`)
  }
  return { warnings, problems }
}

function isHarmless(flag: Flag, text: string): boolean {
  return [flag.fallback, ...(flag.harmless ?? [])].some((value) => isSame(flag, value, text))
}

function isSame(flag: Flag, a: string, b: string): boolean {
  switch (flag.value) {
    case 'switch':
      return parseSwitch(a) === parseSwitch(b)
    case 'duration':
      return parseDurationMs(a) === parseDurationMs(b)
    case 'integer':
    case 'bytes':
    case 'ms':
    case 'years':
    case 'seconds':
      return Number(a) === Number(b)
    default:
      return a === b
  }
}

function syntaxProblem(flag: Flag, text: string): string | undefined {
  switch (flag.value) {
    case 'switch':
      return parseSwitch(text) === undefined ? notASwitch(text) : undefined
    case 'duration':
      return parseDurationMs(text) === undefined ? notADuration(text) : undefined
    case 'integer':
    case 'bytes':
    case 'ms':
    case 'years':
    case 'seconds':
      return /^-?\d+$/.test(text) ? undefined : `'${text}' is not a whole number`
    default:
      return undefined
  }
}

export const notASwitch = (text: string): string => `'${text}' is neither true nor false`
export const notADuration = (text: string): string => `'${text}' is not a duration such as 500ms or 1m30s`
