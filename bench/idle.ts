/**
 * What three members cost that nobody asks anything, and what a scrape of their metrics costs:
 * `npm run bench:idle [-- path-of-etcd]`, with a real etcd beside ours. Processor time is the members' own, so other work on
 * the machine adds little to it. Memory is told twice: all that is resident, and of it what no other process can share.
 * Linux only: /proc.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'

const FIRST_PORT = 23990
const MEMBERS = [0, 1, 2] as const
/** For what a start leaves to do. */
const SETTLE_MS = 10_000
const IDLE_MS = 60_000
const SCRAPES = 200
const GIVE_UP_MS = 60_000
const CLOCK_TICKS_PER_SECOND = 100

const clientUrl = (member: number): string => `http://127.0.0.1:${FIRST_PORT + 10 * member}`
const peerUrl = (member: number): string => `http://127.0.0.1:${FIRST_PORT + 10 * member + 1}`

function startMember(program: readonly string[], member: number, folder: string): ChildProcess {
  const [command = '', ...first] = program
  const flags = [
    `--name=m${member}`,
    `--data-dir=${join(folder, `m${member}`)}`,
    `--listen-client-urls=${clientUrl(member)}`,
    `--advertise-client-urls=${clientUrl(member)}`,
    `--listen-peer-urls=${peerUrl(member)}`,
    `--initial-advertise-peer-urls=${peerUrl(member)}`,
    `--initial-cluster=${MEMBERS.map((i) => `m${i}=${peerUrl(i)}`).join(',')}`,
    '--log-level=fatal',
  ]
  // As in the image: without it each process keeps what takes the types out of the sources.
  const env = { ...process.env, NODE_COMPILE_CACHE: join(folder, 'compiled') }
  return spawn(command, [...first, ...flags], { env, stdio: ['ignore', 'inherit', 'inherit'] })
}

async function stopped(member: ChildProcess): Promise<void> {
  if (member.exitCode !== null || member.signalCode !== null) return
  const gone = once(member, 'exit')
  member.kill('SIGTERM')
  await gone
}

async function answers(member: number): Promise<void> {
  for (const deadlineMs = performance.now() + GIVE_UP_MS; performance.now() < deadlineMs; await delay(100)) {
    const health = await fetch(`${clientUrl(member)}/health`).catch(() => undefined)
    await health?.text()
    if (health?.ok === true) return
  }
  throw new Error(`member ${member} is not healthy within ${GIVE_UP_MS / 1000} s`)
}

function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / CLOCK_TICKS_PER_SECOND
}

function memoryMegabytes(pid: number, field: 'VmRSS' | 'RssAnon'): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return (Number(new RegExp(`^${field}:\\s*(\\d+) kB`, 'm').exec(status)?.[1]) * 1024) / 1_000_000
}

async function idle(pids: readonly number[]): Promise<string> {
  await delay(SETTLE_MS)
  const before = pids.map(cpuSeconds)
  await delay(IDLE_MS)
  const shares = pids.map((pid, i) => ((cpuSeconds(pid) - (before[i] ?? 0)) / (IDLE_MS / 1000)) * 100)
  const each = (values: readonly number[], digits: number): string =>
    values.map((value) => value.toFixed(digits)).join(' ')
  return (
    `idle for ${IDLE_MS / 1000} s: ${each(shares, 2)} % of a core, ` +
    `${each(
      pids.map((pid) => memoryMegabytes(pid, 'VmRSS')),
      0,
    )} MB resident, ` +
    `${each(
      pids.map((pid) => memoryMegabytes(pid, 'RssAnon')),
      0,
    )} MB of it their own`
  )
}

async function scrape(pid: number, member: number): Promise<string> {
  const before = cpuSeconds(pid)
  let sizeBytes = 0
  for (let i = 0; i < SCRAPES; i++) sizeBytes = (await (await fetch(`${clientUrl(member)}/metrics`)).text()).length
  const milliseconds = ((cpuSeconds(pid) - before) * 1000) / SCRAPES
  return `a scrape, over ${SCRAPES}: ${milliseconds.toFixed(1)} ms of processor time, ${sizeBytes} bytes`
}

async function measure(name: string, program: readonly string[]): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'raftkv-bench-'))
  const members: ChildProcess[] = []
  const start = async (): Promise<void> => {
    for (const member of MEMBERS) members.push(startMember(program, member, folder))
    for (const member of MEMBERS) await answers(member)
  }
  const stop = async (): Promise<void> => {
    await Promise.all(members.splice(0).map(stopped))
  }
  try {
    await start() // fills the compile cache
    await stop()
    await start()
    const pids = members.map((member) => member.pid ?? 0)
    console.log(`${name.padEnd(5)} ${await idle(pids)}`)
    console.log(`${name.padEnd(5)} ${await scrape(pids[0] ?? 0, 0)}`)
  } finally {
    await stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

const [etcd] = process.argv.slice(2)
await measure('ours', [
  process.execPath,
  '--max-semi-space-size=32',
  join(import.meta.dirname, '..', 'node-server', 'main.ts'),
])
if (etcd !== undefined) await measure('etcd', [etcd])
