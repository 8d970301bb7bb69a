/**
 * What containers print, kept as container runtimes keep it: `<time> stdout|stderr F|P <text>`, one file a run. A file
 * that has grown to MAX_FILE_BYTES becomes the one before it; the run before the present one is kept for `--previous`.
 */
import { closeSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const MAX_FILE_BYTES = 10 * 1024 * 1024
/** A longer line without an end is cut into parts. */
const MAX_LINE_BYTES = 16 * 1024
const NEWLINE = 0x0a

export function logPath(directory: string, run: number): string {
  return join(directory, `${run}.log`)
}

export class LogWriter {
  readonly #path: string
  readonly #nowMs: () => number
  #file: number
  #sizeBytes: number
  readonly #rest: Record<'stdout' | 'stderr', Buffer> = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0) }

  /** Run 0 is the first; the run before the last one is forgotten. */
  constructor(directory: string, run: number, nowMs: () => number) {
    this.#path = logPath(directory, run)
    this.#nowMs = nowMs
    for (const suffix of ['', '.1']) rmSync(logPath(directory, run - 2) + suffix, { force: true })
    this.#file = openSync(this.#path, 'a', 0o600)
    this.#sizeBytes = statSync(this.#path).size
  }

  write(stream: 'stdout' | 'stderr', chunk: Buffer): void {
    let rest = Buffer.concat([this.#rest[stream], chunk])
    for (let end = rest.indexOf(NEWLINE); end !== -1; end = rest.indexOf(NEWLINE)) {
      this.#line(stream, 'F', rest.subarray(0, end))
      rest = rest.subarray(end + 1)
    }
    while (rest.length > MAX_LINE_BYTES) {
      this.#line(stream, 'P', rest.subarray(0, MAX_LINE_BYTES))
      rest = rest.subarray(MAX_LINE_BYTES)
    }
    this.#rest[stream] = rest
  }

  close(): void {
    for (const stream of ['stdout', 'stderr'] as const) {
      if (this.#rest[stream].length > 0) this.#line(stream, 'F', this.#rest[stream])
    }
    closeSync(this.#file)
  }

  #line(stream: string, tag: 'F' | 'P', text: Buffer): void {
    const head = Buffer.from(`${new Date(this.#nowMs()).toISOString().replace('Z', '000000Z')} ${stream} ${tag} `)
    const line = Buffer.concat([head, text, Buffer.from('\n')])
    if (this.#sizeBytes + line.length > MAX_FILE_BYTES) this.#rotate()
    writeSync(this.#file, line)
    this.#sizeBytes += line.length
  }

  #rotate(): void {
    closeSync(this.#file)
    renameSync(this.#path, `${this.#path}.1`)
    this.#file = openSync(this.#path, 'a', 0o600)
    this.#sizeBytes = 0
  }
}

export interface LogQuery {
  readonly tailLines: number | undefined
  readonly sinceMs: number | undefined
  readonly limitBytes: number | undefined
  readonly hasTimestamps: boolean
}

/** Empty when the run has printed nothing. */
export function readLog(directory: string, run: number, query: LogQuery): Buffer {
  const lines = [`${logPath(directory, run)}.1`, logPath(directory, run)].flatMap(linesOf)
  const { sinceMs, tailLines, limitBytes, hasTimestamps } = query
  const since = sinceMs === undefined ? lines : lines.filter((line) => Date.parse(timeOf(line)) >= sinceMs)
  const tail = tailLines === undefined ? since : tailLines === 0 ? [] : since.slice(-tailLines)
  const text = Buffer.from(tail.map((line) => formatLine(line, hasTimestamps)).join(''))
  return limitBytes === undefined ? text : text.subarray(0, limitBytes)
}

/** One stored line as it was printed; a part has no line end. */
export function formatLine(line: string, hasTimestamps: boolean): string {
  const [, time = '', tag = 'F', text = ''] = /^(\S+) \S+ ([FP]) (.*)$/s.exec(line) ?? []
  const end = tag === 'F' ? '\n' : ''
  return hasTimestamps ? `${time} ${text}${end}` : `${text}${end}`
}

function timeOf(line: string): string {
  return line.slice(0, line.indexOf(' '))
}

function linesOf(path: string): readonly string[] {
  try {
    const text = readFileSync(path, 'utf8')
    return text.split('\n').filter((line) => line !== '')
  } catch {
    return []
  }
}
