/** What the run prints: steps with their durations, checks, figures against their targets, and the closing line. */
export interface Report {
  /** Announces, runs and times one step; a failure is printed and thrown on. */
  step<Value>(title: string, work: () => Promise<Value>): Promise<Value>
  note(text: string): void
  /** Counts a failure outside of steps and checks. */
  fail(text: string): void
  /** One check of the scenario. `problems` are the reasons why it failed; none means that it passed. */
  check(title: string, problems: readonly string[]): void
  figure(figure: Figure): void
  hasFailed(): boolean
  /** For the process that goes on with the run. */
  progress(): Progress
  /** Prints the figures and the closing line; true when nothing failed. */
  close(): boolean
}

export interface Figure {
  readonly title: string
  readonly value: number
  readonly unit: string
  /** The most that is wished for; a figure beyond it is marked as missed. */
  readonly target?: number
}

const MOST_PROBLEMS_SHOWN = 10

/** What an earlier process of the same run counted. */
export interface Progress {
  readonly startedMs: number
  readonly passed: number
}

export function createReport(print: (line: string) => void, nowMs: () => number, earlier?: Progress): Report {
  const startedMs = earlier?.startedMs ?? nowMs()
  const figures: Figure[] = []
  let passed = earlier?.passed ?? 0
  let failed = 0
  const clock = (): string => `[${((nowMs() - startedMs) / 1000).toFixed(1).padStart(6)} s]`
  const say = (text: string): void => print(`${clock()} ${text}`)

  const check = (title: string, problems: readonly string[]): void => {
    if (problems.length === 0) {
      passed++
      return say(`ok      ${title}`)
    }
    failed++
    say(`FAILED  ${title}`)
    for (const problem of problems.slice(0, MOST_PROBLEMS_SHOWN)) print(`            ${problem}`)
    if (problems.length > MOST_PROBLEMS_SHOWN) print(`            and ${problems.length - MOST_PROBLEMS_SHOWN} more`)
  }

  return {
    check,
    note: say,
    fail(text) {
      failed++
      say(`FAILED  ${text}`)
    },
    hasFailed: () => failed > 0,
    progress: () => ({ startedMs, passed }),
    async step(title, work) {
      say(`...     ${title}`)
      const beganMs = nowMs()
      try {
        const value = await work()
        passed++
        say(`ok      ${title} (${((nowMs() - beganMs) / 1000).toFixed(1)} s)`)
        return value
      } catch (error) {
        failed++
        say(`FAILED  ${title}: ${error instanceof Error ? error.message : String(error)}`)
        throw error
      }
    },
    figure(figure) {
      figures.push(figure)
      const isMissed = figure.target !== undefined && figure.value > figure.target
      if (figure.target === undefined) say(`figure  ${line(figure)}`)
      // Not a failure: a busy machine is slower, and what was built is not less correct for it.
      else say(`${isMissed ? 'MISSED ' : 'figure '} ${line(figure)}`)
    },
    close() {
      if (figures.length > 0) print('\nFigures')
      for (const figure of figures) print(`  ${line(figure)}`)
      print(`\n${passed} passed, ${failed} failed`)
      return failed === 0
    },
  }
}

function line(figure: Figure): string {
  const target = figure.target === undefined ? '' : ` (target: ${figure.target} ${figure.unit} or less)`
  return `${figure.title}: ${figure.value} ${figure.unit}${target}`
}
