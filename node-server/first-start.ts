/**
 * A step of the image's build: a member starts in a folder of its own, serves clients and the admin API, and is stopped. As it
 * ends, Node writes to NODE_COMPILE_CACHE what it has made of all sources that a start uses, those that load late among them.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** Without a cache, on a processor that is emulated, a start takes long. */
const TIMEOUT_MS = 120_000

const folder = mkdtempSync(join(tmpdir(), 'raftkv-first-start-'))
try {
  const [clients, peers] = [`unix://${join(folder, 'clients')}`, `unix://${join(folder, 'peers')}`]
  const flags = [
    `--data-dir=${join(folder, 'data')}`,
    `--listen-client-urls=${clients}`,
    `--advertise-client-urls=${clients}`,
    `--listen-peer-urls=${peers}`,
    `--initial-advertise-peer-urls=${peers}`,
    `--initial-cluster=default=${peers}`,
    '--listen-admin-urls=http://127.0.0.1:0',
  ]
  const member = spawn(process.execPath, [join(import.meta.dirname, 'main.ts'), ...flags], {
    stdio: ['ignore', 'inherit', 'pipe'],
    timeout: TIMEOUT_MS,
  })
  const ended = once(member, 'exit')
  for await (const line of createInterface(member.stderr)) {
    console.error(line)
    if (line.includes('ready to serve client requests')) member.kill('SIGTERM')
  }
  const [code] = await ended
  process.exitCode = code === 0 ? 0 : 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
