/** The log of the program: JSON lines with zap's field names, as etcd writes them, or zap's lines for reading. */
import { pino, type Logger } from 'pino'
import type { LogConfig } from './config/config.ts'

const DESCRIPTORS: Readonly<Record<string, number>> = { stdout: 1, stderr: 2 }

/** Throws when a file cannot be opened. */
export function openLog({ level, format, outputs }: LogConfig, memberName: string): Logger {
  const streams = outputs.map((output) =>
    pino.destination({ dest: Object.hasOwn(DESCRIPTORS, output) ? DESCRIPTORS[output] : output, sync: true }),
  )
  return pino(
    {
      level,
      base: { name: memberName },
      timestamp: () => `,"ts":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
    },
    {
      write: (line: string) => {
        const text = format === 'json' ? line : asConsole(line)
        for (const stream of streams) stream.write(text)
      },
    },
  )
}

/** Time, level, message and all other fields, apart by tabs. */
export function asConsole(line: string): string {
  const { ts, level, msg, ...fields } = JSON.parse(line) as Record<string, unknown>
  return `${[ts, level, msg, JSON.stringify(fields)].join('\t')}\n`
}
