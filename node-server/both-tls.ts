/** TLS of both sides of a member, as its flags ask for it, and what it tells of it. */
import type { AdminMember, AdminStatus } from '../lib/admin-api.ts'
import { ok, type Result } from '../lib/result.ts'
import type { Config } from './config/config.ts'
import type { TlsLog } from './tls/credentials.ts'
import type { TlsOptions } from './tls/options.ts'
import { prepareTls } from './tls/prepare.ts'
import { tlsInForce } from './tls/report.ts'

export interface BothTls {
  /** Of the admin API and the metrics as well. */
  readonly client: TlsOptions | undefined
  readonly peer: TlsOptions | undefined
}

/** The error is for the user. */
export async function prepareBothTls(config: Config, log: TlsLog): Promise<Result<BothTls, string>> {
  const { dataDir: dataDirectory, clientTls, peerTls } = config
  const clientURLs = [...config.listenClientURLs, ...config.listenClientHTTPURLs, ...config.listenAdminURLs]
  const sides = { dataDirectory, log }
  const client = await prepareTls({ ...sides, side: 'client', tls: clientTls, listenURLs: clientURLs })
  if (!client.ok) return client
  const peer = await prepareTls({ ...sides, side: 'peer', tls: peerTls, listenURLs: config.listenPeerURLs })
  return peer.ok ? ok({ client: client.value, peer: peer.value }) : peer
}

/** `known`: what the cluster knows of this member, once it does. */
export function tlsReport(
  tls: BothTls,
  config: Config,
  known: AdminMember | undefined,
): NonNullable<AdminStatus['tls']> {
  const { clientURLs = [], peerURLs = config.initialAdvertisePeerURLs } = known ?? {}
  const client = tlsInForce(tls.client, {
    listened: [...config.listenClientURLs, ...config.listenClientHTTPURLs],
    // Those of a member that has just joined are not known yet.
    advertised: clientURLs.length === 0 ? config.advertiseClientURLs : clientURLs,
  })
  const peer = tlsInForce(tls.peer, { listened: config.listenPeerURLs, advertised: peerURLs })
  return { ...(peer && { peer }), ...(client && { client }) }
}
