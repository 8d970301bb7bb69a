/** How a Job's pod reaches the members of a cluster as a client. Pure. */
import { PORTS } from '../api/owned.ts'
import type { RaftCluster } from '../api/raft-cluster.ts'
import { hostName, names } from '../cluster/resources/names.ts'
import { BUNDLE_FILE, TLS_FILES } from '../cluster/tls/leaves.ts'
import { commonScheme } from '../cluster/tls/scheme.ts'

const VOLUME = 'backup-tls'
const MOUNT = '/etc/raftkv/backup-tls'

type Json = Readonly<Record<string, unknown>>

export interface ClientAccess {
  /** Flags of `backup take`. */
  readonly flags: readonly string[]
  readonly volumes: readonly Json[]
  readonly mounts: readonly Json[]
}

/** Each member by its own name: which of them follows, the one who asks finds out. */
export function clientAccess(cluster: RaftCluster): ClientAccess {
  const ordinals = Array.from({ length: cluster.spec.replicas }, (_, ordinal) => ordinal)
  const scheme = commonScheme(cluster, 'client')
  const urls = ordinals.map((ordinal) => `${scheme}://${hostName(cluster, ordinal)}:${PORTS.client}`)
  const flags = [`--endpoints=${urls.join(',')}`]
  if (scheme === 'http') return { flags, volumes: [], mounts: [] }
  const { certificate, key } = TLS_FILES
  return {
    flags: [...flags, `--cacert=${MOUNT}/${BUNDLE_FILE}`, `--cert=${MOUNT}/${certificate}`, `--key=${MOUNT}/${key}`],
    volumes: [{ name: VOLUME, secret: { secretName: names.tls(cluster, 'backupTls'), defaultMode: 0o440 } }],
    mounts: [{ name: VOLUME, mountPath: MOUNT, readOnly: true }],
  }
}
