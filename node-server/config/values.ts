/** Typed access to what was given; a wrong value becomes a problem, and something harmless in its place. */
import { parseURLs, type URLPurpose } from './urls.ts'
import { parseDurationMs } from './duration.ts'
import { notADuration, notASwitch, parseSwitch, type Given } from './given.ts'
import { FLAGS, flagOf, type FlagName } from './table.ts'

export class Flags {
  readonly #given: ReadonlyMap<FlagName, string>
  readonly source: Given['source']
  readonly problems: string[]
  readonly warnings: string[]

  constructor(given: Given) {
    this.#given = given.values
    this.source = given.source
    this.problems = [...given.problems]
    this.warnings = [...given.warnings]
  }

  has(name: FlagName): boolean {
    return this.#given.has(name)
  }

  text(name: FlagName): string {
    return this.#given.get(name) ?? FLAGS[name].fallback
  }

  path(name: FlagName): string | undefined {
    return this.text(name) === '' ? undefined : this.text(name)
  }

  refuse(name: FlagName, problem: string): void {
    this.problems.push(`--${name}: ${problem}`)
  }

  urls(name: FlagName, purpose: URLPurpose): readonly string[] {
    const text = this.text(name)
    if (text === '' && FLAGS[name].fallback === '') return []
    const urls = parseURLs(text, purpose)
    if (urls.ok) return urls.value
    this.refuse(name, urls.error)
    return []
  }

  integer(name: FlagName, min: number, max = Number.MAX_SAFE_INTEGER): number {
    const text = this.text(name)
    const value = /^-?\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    if (Number.isSafeInteger(value) && value >= min && value <= max) return value
    const range = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`
    this.refuse(name, `'${text}' is not a whole number ${min === Number.MIN_SAFE_INTEGER ? '' : range}`.trimEnd())
    return Number(FLAGS[name].fallback)
  }

  switch(name: FlagName): boolean {
    const text = this.text(name)
    const value = parseSwitch(text)
    if (value === undefined) this.refuse(name, notASwitch(text))
    return value ?? false
  }

  /** Not negative, unless `min` says so: a timer that runs backwards is always a mistake. */
  durationMs(name: FlagName, min = 0): number {
    const text = this.text(name)
    const value = parseDurationMs(text)
    if (value === undefined) this.refuse(name, notADuration(text))
    else if (value < min) this.refuse(name, `'${text}' is less than ${min === 0 ? '0' : `${min} ms`}`)
    return value ?? 0
  }

  /** Without blanks around the items and without empty ones. */
  list(name: FlagName): readonly string[] {
    const items = this.text(name).split(',')
    return [...new Set(items.map((item) => item.trim()).filter((item) => item !== ''))]
  }

  choice<Choice extends string>(name: FlagName, choices: readonly Choice[], fallback: Choice): Choice {
    const text = this.text(name)
    const choice = choices.find((choice) => choice === text)
    if (choice === undefined) this.refuse(name, `'${text}' is none of ${flagOf(name).form?.replaceAll('|', ', ')}`)
    return choice ?? fallback
  }
}
