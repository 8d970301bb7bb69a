/**
 * How a member listens and is known: flags, ports and what it mounts for them. With TLS both schemes stand on one address, and are
 * advertised, while a change is under way, and the member reads its files again when they change, so that no renewal is a rollout. Pure.
 */
import { MOUNTS, PORTS, VOLUMES } from '../../api/owned.ts'
import type { RaftCluster } from '../../api/raft-cluster.ts'
import type { TlsSide } from '../../api/tls.ts'
import { LISTENED, phaseOf } from '../tls/scheme.ts'
import { tlsFlags } from './member-flags.ts'
import { names } from './names.ts'

type Json = Readonly<Record<string, unknown>>
type Port = keyof typeof PORTS

export interface Connections {
  readonly ports: readonly Port[]
  /** Port of the probes. */
  readonly probed: Port
  readonly flags: (cluster: RaftCluster) => readonly string[]
  readonly volumes: (cluster: RaftCluster) => readonly Json[]
  readonly mounts: (cluster: RaftCluster) => readonly Json[]
}

/** As members were made before they knew TLS. */
export const PLAIN: Connections = {
  ports: ['client', 'peer', 'admin'],
  probed: 'admin',
  flags: (cluster) => {
    const host = podHost(cluster)
    return [
      `--listen-client-urls=http://0.0.0.0:${PORTS.client}`,
      `--advertise-client-urls=http://${host}:${PORTS.client}`,
      `--listen-peer-urls=http://0.0.0.0:${PORTS.peer}`,
      `--initial-advertise-peer-urls=http://${host}:${PORTS.peer}`,
      '--initial-cluster-state=wait',
      `--listen-admin-urls=http://0.0.0.0:${PORTS.admin}`,
      `--admin-token-file=${MOUNTS.token}/token`,
    ]
  },
  volumes: () => [],
  mounts: () => [],
}

export const SECURED: Connections = {
  ports: ['client', 'peer', 'admin', 'metrics'],
  probed: 'metrics',
  flags: (cluster) => {
    const host = podHost(cluster)
    return [
      `--listen-client-urls=${urls(cluster, 'client', ANY, PORTS.client)}`,
      `--advertise-client-urls=${urls(cluster, 'client', host, PORTS.client)}`,
      `--listen-peer-urls=${urls(cluster, 'peer', ANY, PORTS.peer)}`,
      `--initial-advertise-peer-urls=${urls(cluster, 'peer', host, PORTS.peer)}`,
      '--initial-cluster-state=wait',
      `--listen-admin-urls=${urls(cluster, 'client', ANY, PORTS.admin)}`,
      `--admin-token-file=${MOUNTS.token}/token`,
      `--listen-metrics-urls=http://0.0.0.0:${PORTS.metrics}`,
      ...tlsFlags(cluster.spec.options),
      ...(hasTls(cluster, 'peer') ? PEER_FILES : []),
      ...(hasTls(cluster, 'client') ? [...CLIENT_FILES, ...CLIENT_CERTIFICATES[clientCertificates(cluster)]] : []),
    ]
  },
  volumes: (cluster) => [
    ...(hasTls(cluster, 'peer') ? [volume(VOLUMES.peerTls, names.tls(cluster, 'peerTls'))] : []),
    ...(hasTls(cluster, 'client') ? [volume(VOLUMES.serverTls, names.tls(cluster, 'serverTls'))] : []),
  ],
  mounts: (cluster) => [
    ...(hasTls(cluster, 'peer') ? [{ name: VOLUMES.peerTls, mountPath: MOUNTS.peerTls, readOnly: true }] : []),
    ...(hasTls(cluster, 'client') ? [{ name: VOLUMES.serverTls, mountPath: MOUNTS.serverTls, readOnly: true }] : []),
  ],
}

const PEER_FILES = [
  `--peer-cert-file=${MOUNTS.peerTls}/$(POD_NAME).crt`,
  `--peer-key-file=${MOUNTS.peerTls}/$(POD_NAME).key`,
  `--peer-trusted-ca-file=${MOUNTS.peerTls}/ca.crt`,
  '--peer-client-cert-auth',
]

const CLIENT_FILES = [`--cert-file=${MOUNTS.serverTls}/tls.crt`, `--key-file=${MOUNTS.serverTls}/tls.key`]

type ClientCertificates = RaftCluster['spec']['tls']['client']['clientCertificates']

const TRUSTED = `--trusted-ca-file=${MOUNTS.serverTls}/ca.crt`

/** A CA that is trusted is asked for certificates of by itself (etcd). */
const CLIENT_CERTIFICATES: Readonly<Record<ClientCertificates, readonly string[]>> = {
  Required: [TRUSTED, '--client-cert-auth'],
  Optional: [TRUSTED, '--client-cert-optional'],
  None: [],
}

function clientCertificates({ spec }: RaftCluster): ClientCertificates {
  return spec.tls.client.clientCertificates
}

function hasTls(cluster: RaftCluster, side: TlsSide): boolean {
  return phaseOf(cluster, side) !== 'Disabled'
}

const ANY = '0.0.0.0'

function urls(cluster: RaftCluster, side: TlsSide, host: string, port: number): string {
  return LISTENED[phaseOf(cluster, side)].map((scheme) => `${scheme}://${host}:${port}`).join(',')
}

/** Its DNS name, with what the kubelet fills in. */
function podHost(cluster: RaftCluster): string {
  return `$(POD_NAME).${names.headlessService(cluster)}.$(POD_NAMESPACE).svc.${cluster.spec.clusterDomain}`
}

function volume(name: string, secretName: string): Json {
  return { name, secret: { secretName, defaultMode: 0o440 } }
}
