/** Rules over several flags. Pure. */
import type { Config } from './config.ts'
import { checkSchemes } from './tls.ts'
import { addressOf } from './urls.ts'
import type { FlagName } from './table.ts'
import type { Flags } from './values.ts'

export function checkTogether(flags: Flags, config: Config): void {
  if (flags.source === 'flags' && flags.has('listen-client-urls') && !flags.has('advertise-client-urls')) {
    flags.refuse('advertise-client-urls', 'required when --listen-client-urls is set')
  }
  const { heartbeatIntervalMs, electionTimeoutMs } = config
  if (electionTimeoutMs < 5 * heartbeatIntervalMs) {
    flags.refuse(
      'election-timeout',
      `${electionTimeoutMs} ms is less than 5 times --heartbeat-interval (${heartbeatIntervalMs} ms)`,
    )
  }
  const clientCert = ['cert-file', 'key-file'] as const
  checkSchemes(flags, 'listen-client-urls', config.listenClientURLs, config.clientTls, clientCert)
  checkSchemes(flags, 'listen-client-http-urls', config.listenClientHTTPURLs, config.clientTls, clientCert)
  checkSchemes(flags, 'listen-metrics-urls', config.listenMetricsURLs, config.clientTls, clientCert)
  checkSchemes(flags, 'listen-peer-urls', config.listenPeerURLs, config.peerTls, ['peer-cert-file', 'peer-key-file'])
  checkSchemes(flags, 'listen-admin-urls', config.listenAdminURLs, config.clientTls, clientCert)
  for (const url of config.listenAdminURLs.filter((each) => !/^https?:/i.test(each)))
    flags.refuse('listen-admin-urls', `'${url}': the admin API is served over http and https only`)
  checkAddresses(flags, config)
}

/** Within one flag an address may come twice, with and without TLS. */
function checkAddresses(flags: Flags, config: Config): void {
  const listeners = new Map<string, FlagName>()
  for (const [flag, urls] of [
    ['listen-client-urls', config.listenClientURLs],
    ['listen-client-http-urls', config.listenClientHTTPURLs],
    ['listen-peer-urls', config.listenPeerURLs],
    ['listen-admin-urls', config.listenAdminURLs],
    ['listen-metrics-urls', config.listenMetricsURLs],
  ] as const) {
    for (const url of urls) {
      const address = addressOf(url)
      const other = address === undefined ? undefined : listeners.get(address)
      if (other !== undefined && other !== flag)
        flags.refuse(flag, `'${url}' is in --${other} as well: each needs a port of its own`)
      else if (address !== undefined) listeners.set(address, flag)
    }
  }
}
