/**
 * What a cluster does at its limits, beside a real etcd: each scenario on three members of ours, then on three of etcd 3.7.3,
 * and one table with both. The quick form asks ours alone, unless it is given an etcd. Exit codes: 0 every bound holds, 1 one is broken, 2 wrong flags or no room.
 */
import { mkdirSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { systemClock } from '../../lib/system-clock.ts'
import { withTimeLimit } from '../../lib/time-limit.ts'
import { ensureEtcd } from '../e2e/machine/peers.ts'
import { createReport } from '../e2e/report.ts'
import { parseSettings } from '../e2e/settings.ts'
import { Cluster, type Program } from './cluster.ts'
import { parseOptions, USAGE, type Options } from './options.ts'
import { etcd as etcdProgram, ours } from './programs.ts'
import type { Outcome, Scenario, Sizing } from './scenario.ts'
import { SCENARIOS } from './scenarios.ts'
import { HEADER, printed, rowsOf, type Row } from './table.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const OURS = ours()
/** What the largest scenario writes at its full size, three members and their logs together, and some room. */
const DISK_BYTES = 8 * 1024 ** 3
/** However small the scale. */
const LEAST_DISK_BYTES = 1024 ** 3

/** A failure, too, when a member ends in the course of it that nobody stopped. */
async function play(scenario: Scenario, program: Program, size: Sizing, limitMs: number): Promise<Outcome> {
  let cluster: Cluster | undefined
  try {
    const started = (cluster = await Cluster.start(program, scenario))
    const figures = await withTimeLimit(systemClock, limitMs, undefined, (signal) =>
      Promise.race([scenario.run(started, size), aborted(signal)]),
    )
    if (started.lastOutput() !== '') throw new Error('not all members have come through')
    return { kind: 'figures', figures: { ...figures, elections: await started.elections() } }
  } catch (error) {
    return { kind: 'failed', reason: reasonOf(error) + (cluster?.lastOutput() ?? '') }
  } finally {
    await cluster?.close()
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${reasonOf(error.cause)}`
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
}

function isChosen({ name, isVariant, volumeSizeBytes }: Scenario, { only, isQuick }: Options): boolean {
  if (volumeSizeBytes !== undefined && process.getuid?.() !== 0) return false // it could not be mounted
  return only.length === 0 ? !(isQuick && isVariant === true) : only.some((text) => name.includes(text))
}

async function playAll(
  chosen: readonly Scenario[],
  options: Options,
  etcd: Program | undefined,
): Promise<readonly Row[]> {
  const { scale, limitMs } = options
  const size: Sizing = (full, least = 1) => Math.max(least, Math.round(full * scale))
  const rows: Row[] = []
  console.log(HEADER)
  for (const scenario of chosen) {
    console.log(`# ${scenario.name}: ${scenario.what(size)}`)
    const ours = await play(scenario, OURS, size, limitMs)
    const theirs: Outcome = etcd === undefined ? { kind: 'not-asked' } : await play(scenario, etcd, size, limitMs)
    if (ours.kind === 'failed') console.log(`# ours failed: ${ours.reason}`)
    if (theirs.kind === 'failed') console.log(`# etcd failed: ${theirs.reason}`)
    const own = rowsOf(scenario, ours, theirs, options)
    for (const row of own) console.log(printed(row))
    rows.push(...own)
  }
  return rows
}

async function etcdOf({ etcd, isQuick }: Options): Promise<Program | undefined> {
  if (etcd === undefined && isQuick) return undefined
  return etcdProgram(etcd === undefined ? await builtEtcd() : resolve(etcd))
}

async function builtEtcd(): Promise<string> {
  const settings = parseSettings({ ...process.env, KUBECONFIG: undefined, RAFTKV_E2E_IMAGE: undefined }, ROOT)
  if (!settings.ok) throw new Error(settings.problem)
  const { root, cache } = settings.settings
  mkdirSync(cache, { recursive: true })
  return ensureEtcd(createReport(console.log, Date.now), root, cache)
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2))
  if (!options.ok) {
    console.error(`${options.error}\n${USAGE}`)
    return 2
  }
  const chosen = SCENARIOS.filter((scenario) => isChosen(scenario, options.value))
  if (chosen.length === 0) {
    console.error(`--only: there are ${SCENARIOS.map(({ name }) => name).join(', ')}`)
    return 2
  }
  const { bavail, bsize } = statfsSync(tmpdir())
  const diskBytes = Math.max(LEAST_DISK_BYTES, DISK_BYTES * options.value.scale)
  if (bavail * bsize < diskBytes) {
    console.error(`less than ${(diskBytes / 1024 ** 3).toFixed(0)} GiB are free in ${tmpdir()}`)
    return 2
  }
  const { json } = options.value
  const etcd = await etcdOf(options.value)
  const startedMs = performance.now()
  const rows = await playAll(chosen, options.value, etcd)
  if (json !== undefined) writeFileSync(json, JSON.stringify(rows, undefined, 2))
  const broken = rows.filter(({ isBroken }) => isBroken).length
  const took = ((performance.now() - startedMs) / 1000).toFixed(0)
  console.log(`limits: ${broken === 0 ? 'every bound holds' : `${broken} BROKEN`}; ${rows.length} figures, ${took} s`)
  return broken === 0 ? 0 : 1
}

// Their end takes the processes and folders along.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))
// A scenario that was given up may still wait for something.
process.exit(await main())
