/** The program: a member of the cluster, or a tool for the directory of one that does not run. */
import { setFlagsFromString } from 'node:v8'
import { systemClock } from '../lib/system-clock.ts'
import { runMember } from './run-member.ts'
import { realVolume } from './storage/volume.ts'
import { isTool } from './tools/names.ts'

/**
 * By how much the heap may grow until its old generation is collected. V8 would let a small one grow to four times its size:
 * what a load leaves behind would be most of what a member has in memory.
 */
const HEAP_GROWING_PERCENT = 50
setFlagsFromString(`--heap-growing-percent=${HEAP_GROWING_PERCENT}`)

const [, , ...args] = process.argv
if (isTool(args[0])) {
  const { runTool } = await import('./tools/tools.ts')
  process.exitCode = await runTool(args, process)
} else await runMember(args, { volume: realVolume, clock: systemClock })
