/**
 * Where a member's processor time goes: `npm run bench:profile [-- LOAD]`, LOAD one of the benchmark's, `put-steady` without
 * it. Three members of ours under this load; microseconds for each request, of the leader and of a follower: the main thread
 * by folder of the sources, the other threads by what they are called. Taking the profile costs some of it.
 */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Cluster, until, type Member } from '../test/limits/cluster.ts'
import { ours } from '../test/limits/programs.ts'
import { chosenStages } from './chosen.ts'
import { byFolder, type Profile } from './folders.ts'
import { ensurePrograms } from './programs.ts'
import type { Place } from './stage.ts'
import { STAGES } from './stages.ts'
import { runLoad } from './tool.ts'

const PRELOAD = join(import.meta.dirname, 'profile-preload.ts')
const WRITE_LIMIT_MS = 60_000
const LEAST_MICROS = 0.05
const MICROS_PER_TICK = 10_000
const MAIN = 'main'

async function profile(name: string): Promise<void> {
  const [stage] = chosenStages(STAGES, [name])
  const last = stage?.steps.at(-1)
  if (stage === undefined || last?.kind !== 'load') throw new Error(`no load is called ${name}`)
  const { tools } = await ensurePrograms(undefined)
  const folder = mkdtempSync(join(tmpdir(), 'raftkv-profile-'))
  const program = ours(['--import', PRELOAD])
  const environment = { ...program.environment, RAFTKV_PROFILES: folder }
  const cluster = await Cluster.start({ ...program, environment }, stage)
  const place: Place = { cluster, tools, size: (full) => full }
  try {
    for (const step of stage.steps.slice(0, -1)) if (step.kind === 'load') await runLoad(place, step)
    const [leader, follower] = [await cluster.leader(), await cluster.follower()]
    const members = [leader, follower]
    const before = members.map(threadMicros)
    for (const member of members) process.kill(member.pid, 'SIGUSR2')
    const { perSecond = 0 } = await runLoad(place, last)
    const after = members.map(threadMicros)
    for (const member of members) process.kill(member.pid, 'SIGUSR2')
    const requests = last.total * (last.reportsForEach ?? 1)
    console.log(`${last.what}: ${Math.round(perSecond)} a second; microseconds for each of ${requests}`)
    for (const [i, member] of members.entries()) {
      const title = member === leader ? 'leader' : 'follower'
      print(title, await profileOf(member, folder), before[i] ?? new Map(), after[i] ?? new Map(), requests)
    }
  } finally {
    await cluster.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function profileOf({ pid }: Member, folder: string): Promise<Profile> {
  const path = join(folder, `${pid}.cpuprofile`)
  await until(() => Promise.resolve(existsSync(path)), WRITE_LIMIT_MS)
  return JSON.parse(readFileSync(path, 'utf8')) as Profile
}

/** By the kernel's own count, of each name; the main thread's is {@link MAIN}. */
function threadMicros({ pid }: Member): ReadonlyMap<string, number> {
  const micros = new Map<string, number>()
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const name = Number(thread) === pid ? MAIN : stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))
    const ticks = Number(fields[11]) + Number(fields[12])
    micros.set(name, (micros.get(name) ?? 0) + ticks * MICROS_PER_TICK)
  }
  return micros
}

function print(
  title: string,
  taken: Profile,
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
  requests: number,
): void {
  const line = (micros: number, what: string): void => {
    const each = micros / requests
    if (each >= LEAST_MICROS) console.log(`${each.toFixed(2).padStart(8)}  ${what}`)
  }
  const used = (thread: string): number => (after.get(thread) ?? 0) - (before.get(thread) ?? 0)
  const folders = byFolder(taken)
  // Samples tell shares, also while another process had the core; the kernel knows how long it was this one's.
  const scale = used(MAIN) / [...folders.values()].reduce((sum, micros) => sum + micros, 0)
  console.log(`\n${title}, its threads`)
  for (const thread of after.keys()) line(used(thread), thread)
  console.log(`${title}, the main thread by folder`)
  for (const [place, micros] of folders) line(micros * scale, place)
}

// Its end takes the processes and folders along.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))
await profile(process.argv[2] ?? 'put-steady')
process.exit()
