/** Listen URLs as etcd's flags take them. Several URLs with one address share one socket (etcd: embed/etcd.go). Pure. */
import { err, ok, type Result } from '../../lib/result.ts'

export type Address =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export interface ListenUrl {
  readonly url: string
  readonly address: Address
  /** https or unixs. */
  readonly isSecure: boolean
}

/** `unix://host:port` names a file `host:port`, as in etcd; the error is for the user. */
export function parseListenUrl(url: string): Result<ListenUrl, string> {
  const [, scheme = '', rest = ''] = /^([a-z]+):(?:\/\/)?(.*)$/i.exec(url) ?? []
  switch (scheme.toLowerCase()) {
    case 'unix':
    case 'unixs':
      if (rest === '') return err(`'${url}' names no socket file`)
      return ok({ url, address: { kind: 'unix', path: rest }, isSecure: scheme.toLowerCase() === 'unixs' })
    case 'http':
    case 'https': {
      const [, host = '', port = ''] = /^(\[[^\]]*\]|[^:/?#@\s]*):(\d{1,5})$/.exec(rest) ?? []
      if (host === '' || Number(port) > 65_535) return err(`'${url}' is not of the form http://host:port`)
      const address = { kind: 'tcp', host: host.replaceAll(/^\[|\]$/g, ''), port: Number(port) } as const
      return ok({ url, address, isSecure: scheme.toLowerCase() === 'https' })
    }
    default:
      return err(`'${url}' has none of the schemes http, https, unix, unixs`)
  }
}

/** The same for all URLs that share a socket. */
export function addressKey(address: Address): string {
  return address.kind === 'unix' ? `unix ${address.path}` : `tcp ${address.host} ${address.port}`
}

export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
