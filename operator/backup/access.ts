/** How a Job's pod reaches the members of a cluster as a client. Pure. */
import { PORTS } from '../api/owned.ts'
import type { RaftCluster } from '../api/raft-cluster.ts'
import { hostName, names } from '../cluster/resources/names.ts'
import { BUNDLE_FILE, TLS_FILES } from '../cluster/tls/leaves.ts'
import { advertisedScheme } from '../cluster/tls/scheme.ts'

type Json = Readonly<Record<string, unknown>>

export interface ClientAccess {
  /** Flags of `backup take`. */
  readonly flags: readonly string[]
  readonly volumes: readonly Json[]
  readonly mounts: readonly Json[]
}

const TLS_VOLUME = 'client-tls'
const TLS_PATH = '/etc/raftkv/client-tls'

/**
 * Each member by its own name: which of them follows, the one who asks finds out. By the scheme that all of them answer to now, with
 * the certificate that applications have.
 */
export function clientAccess(cluster: RaftCluster): ClientAccess {
  const scheme = advertisedScheme(cluster, 'client')
  const ordinals = Array.from({ length: cluster.spec.replicas }, (_, ordinal) => ordinal)
  const urls = ordinals.map((ordinal) => `${scheme}://${hostName(cluster, ordinal)}:${PORTS.client}`)
  const endpoints = `--endpoints=${urls.join(',')}`
  if (scheme === 'http') return { flags: [endpoints], volumes: [], mounts: [] }
  const { certificate, key } = TLS_FILES
  return {
    flags: [
      endpoints,
      `--cacert=${TLS_PATH}/${BUNDLE_FILE}`,
      `--cert=${TLS_PATH}/${certificate}`,
      `--key=${TLS_PATH}/${key}`,
    ],
    volumes: [{ name: TLS_VOLUME, secret: { secretName: names.tls(cluster, 'clientTls') } }],
    mounts: [{ name: TLS_VOLUME, mountPath: TLS_PATH, readOnly: true }],
  }
}
