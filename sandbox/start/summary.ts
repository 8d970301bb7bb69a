/** What to do with a cluster that runs: addresses, and lines to paste. Pure. */

export interface Summary {
  readonly kubeconfig: string
  /** Where the operator shows its clusters. */
  readonly page: string
  readonly members: readonly { readonly name: string; readonly address: string; readonly isLeader: boolean }[]
  /** Undefined without TLS. */
  readonly tls: { readonly ca: string; readonly cert: string; readonly key: string } | undefined
  /** Which of kubectl and etcdctl are on the PATH. */
  readonly installed: ReadonlySet<string>
}

const WHERE_FROM: Readonly<Record<string, string>> = {
  kubectl: 'https://kubernetes.io/docs/tasks/tools/',
  etcdctl: 'https://etcd.io/docs/latest/install/',
}

export function summaryText({ kubeconfig, page, members, tls, installed }: Summary): string {
  const leader = members.find(({ isLeader }) => isLeader) ?? members[0]
  const scheme = tls === undefined ? 'http' : 'https'
  const endpoints = members.map(({ address }) => `${scheme}://${address}:2379`).join(',')
  const forEtcdctl = tls === undefined ? '' : ` --cacert=${tls.ca} --cert=${tls.cert} --key=${tls.key}`
  const forCurl = tls === undefined ? '' : ` --cacert ${tls.ca} --cert ${tls.cert} --key ${tls.key}`
  const missing = Object.entries(WHERE_FROM).filter(([program]) => !installed.has(program))
  const first = members[0]?.address ?? ''
  const put = installed.has('etcdctl')
    ? `etcdctl --endpoints=${endpoints}${forEtcdctl} put hello world`
    : `curl${forCurl} ${scheme}://${first}:2379/v3/kv/put -d '{"key":"aGVsbG8=","value":"d29ybGQ="}'`
  return [
    'Members (etcd v3 API; any etcd client can use them):',
    ...members.map(
      ({ name, address, isLeader }) => `  ${name}  ${scheme}://${address}:2379${isLeader ? '  leader' : ''}`,
    ),
    '',
    `To look at, in a browser: ${page}`,
    '',
    'Try, in another terminal:',
    `  export KUBECONFIG=${kubeconfig}`,
    '  kubectl get raft -w',
    '  kubectl scale raft/demo --replicas=5',
    `  ${put}`,
    `  kubectl delete pod ${leader?.name ?? 'demo-0'}   # the leader`,
    `  curl http://${leader?.address ?? ''}:2382/metrics`,
    '',
    ...missing.map(([program, source]) => `${program} is not installed here: ${source}`),
    ...(missing.length > 0 ? [''] : []),
    'Ctrl-C stops everything; what is stored stays for the next start.',
  ].join('\n')
}
