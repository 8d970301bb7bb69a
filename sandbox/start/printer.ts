/** What a person reads while it starts: one line a step, with the seconds since the beginning. */

export interface Printer {
  step(who: string, what: string): void
  line(text?: string): void
}

const WHO_WIDTH = 12

export function createPrinter(write: (text: string) => void, nowMs: () => number): Printer {
  const startedMs = nowMs()
  return {
    step: (who, what) => {
      const seconds = ((nowMs() - startedMs) / 1000).toFixed(1).padStart(6)
      write(`${seconds} s  ${who.padEnd(WHO_WIDTH)} ${what}\n`)
    },
    line: (text = '') => write(`${text}\n`),
  }
}
