/** etcd's own command line, through a port-forward, as somebody at a desk would use it. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import type { StoredKey } from '../checks/writes.ts'
import { CLIENT_PORT } from '../names.ts'
import { run } from '../process.ts'
import type { Kube } from './kube.ts'

export type Etcdctl = (args: readonly string[], input?: string) => Promise<string>

/** `target` as kubectl names it: `service/demo-client`, `pod/demo-0`. */
export async function withEtcdctl<Value>(
  { kube, namespace }: { readonly kube: Kube; readonly namespace: string },
  target: string,
  work: (etcdctl: Etcdctl) => Promise<Value>,
): Promise<Value> {
  const forward = spawn('kubectl', ['-n', namespace, 'port-forward', target, `:${CLIENT_PORT}`], {
    env: { ...process.env, ...kube.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  try {
    const endpoint = await new Promise<string>((resolve, reject) => {
      let said = ''
      forward.once('error', reject)
      forward.once('exit', () => reject(new Error(`port-forward to ${target} ended: ${said}`)))
      createInterface(forward.stderr).on('line', (line) => {
        said += line
      })
      createInterface(forward.stdout).on('line', (line) => {
        const found = /127\.0\.0\.1:\d+/.exec(line)
        if (found !== null) resolve(found[0])
      })
    })
    const flags = [`--endpoints=${endpoint}`, '--dial-timeout=5s', '--command-timeout=20s']
    return await work((args, input) => run(['etcdctl', ...flags, ...args], input === undefined ? {} : { input }))
  } finally {
    forward.kill()
  }
}

/**
 * On the machine of the box, with the cluster's own DNS at `nameServer`: names of Services and pods lead to the pods. Other programs
 * of the box go on asking nobody for names.
 */
export async function etcdctlByName(nameServer: string, args: readonly string[]): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'raftkv-e2e-dns-'))
  const file = join(folder, 'resolv.conf')
  writeFileSync(file, `nameserver ${nameServer}\n`)
  const script = 'mount --bind "$0" /etc/resolv.conf && exec etcdctl "$@"'
  try {
    return await run(['unshare', '--mount', 'sh', '-c', script, file, ...args])
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const Range = z.object({
  kvs: z
    .array(
      z.object({
        key: z.string(),
        value: z.string().default(''),
        create_revision: z.number(),
        mod_revision: z.number(),
        version: z.number(),
      }),
    )
    .default([]),
})

const PAGE = 4000

/** Every key below `prefix`, read linearizably in pages. */
export async function readAll(etcdctl: Etcdctl, prefix: string): Promise<StoredKey[]> {
  const end = `${prefix.slice(0, -1)}${String.fromCodePoint((prefix.codePointAt(prefix.length - 1) ?? 0) + 1)}`
  const found: StoredKey[] = []
  for (let from = prefix; ;) {
    const answer = await etcdctl(['get', from, end, `--limit=${PAGE}`, '--write-out=json'])
    const page = Range.parse(JSON.parse(answer)).kvs.map((kv) => ({
      key: Buffer.from(kv.key, 'base64').toString(),
      value: Buffer.from(kv.value, 'base64').toString(),
      createRevision: kv.create_revision,
      modRevision: kv.mod_revision,
      version: kv.version,
    }))
    // A page begins with the last key of the one before: an argument cannot hold the byte 0 that would come after it.
    found.push(...page.filter(({ key }) => key !== found.at(-1)?.key))
    const last = page.at(-1)
    if (last === undefined || page.length < PAGE) return found
    from = last.key
  }
}
