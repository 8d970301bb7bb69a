/** Running other programs. What they complain of is seen; one that fails ends the release. */
import { execFileSync, spawnSync } from 'node:child_process'

const MOST_OUTPUT_BYTES = 64 * 1024 * 1024

export function outputOf(cwd: string, program: string, ...args: readonly string[]): string {
  const stdio = ['ignore', 'pipe', 'inherit'] as const
  return execFileSync(program, args, { cwd, encoding: 'utf8', maxBuffer: MOST_OUTPUT_BYTES, stdio: [...stdio] })
}

/** Whether this command ends well. */
export function works(program: string, ...args: readonly string[]): boolean {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0
}
