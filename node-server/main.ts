/** The program: a member of the cluster, or a tool for the directory of one that does not run. */
import { systemClock } from '../lib/system-clock.ts'
import { runMember } from './run-member.ts'
import { realVolume } from './storage/volume.ts'
import { isTool } from './tools/names.ts'

const [, , ...args] = process.argv
if (isTool(args[0])) {
  const { runTool } = await import('./tools/tools.ts')
  process.exitCode = await runTool(args, process)
} else await runMember(args, { volume: realVolume, clock: systemClock })
