/** What clients need to talk to the sample cluster: from its Secret into files, for etcdctl and curl. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { ApiClient } from '../client/client.ts'
import { RESOURCES } from '../client/resource.ts'
import { replaceFile } from '../kubelet/replace-file.ts'
import { SAMPLE } from './objects.ts'

const Side = z.object({ phase: z.string().default('Disabled') }).prefault({})
const Cluster = z.object({
  status: z.object({ tls: z.object({ client: Side }).prefault({}) }).prefault({}),
})
const Secret = z.object({ data: z.object({ 'ca.crt': z.string(), 'tls.crt': z.string(), 'tls.key': z.string() }) })

export interface ClientTls {
  readonly ca: string
  readonly cert: string
  readonly key: string
  /** Where each of them is. */
  readonly files: { readonly ca: string; readonly cert: string; readonly key: string }
}

/** Undefined for a cluster whose members have no TLS, as it is after `--plain`. Throws when the operator has made no certificates yet. */
export async function writeClientFiles(client: ApiClient, directory: string): Promise<ClientTls | undefined> {
  const { status } = Cluster.parse(await client.get(RESOURCES.raftClusters, SAMPLE))
  if (status.tls.client.phase === 'Disabled') return undefined
  const ref = { namespace: SAMPLE.namespace, name: `${SAMPLE.name}-client-tls` }
  const { data } = Secret.parse(await client.get(RESOURCES.secrets, ref))
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const write = (name: keyof typeof data): readonly [path: string, content: string] => {
    const path = join(directory, name)
    const content = Buffer.from(data[name], 'base64').toString()
    replaceFile(path, content)
    return [path, content]
  }
  const [[caFile, ca], [certFile, cert], [keyFile, key]] = [write('ca.crt'), write('tls.crt'), write('tls.key')]
  return { ca, cert, key, files: { ca: caFile, cert: certFile, key: keyFile } }
}
