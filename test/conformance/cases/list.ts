/** Lists, selectors, pages, tables, watches. */
import type { Case } from '../case.ts'
import { CONFIG_MAPS, configMap, PODS, pod, RAFT_CLUSTERS, raftCluster, textAt } from '../objects.ts'

const MERGE = 'application/merge-patch+json'
const TABLE = 'application/json;as=Table;v=v1;g=meta.k8s.io'
const METADATA = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io'

const labelled = (name: string, value: string): unknown => configMap(name, {}, { labels: { set: value } })

export const listCases: readonly Case[] = [
  {
    name: 'label selectors',
    run: async ({ send }) => {
      for (const [name, value] of [
        ['label-a', 'sel-1'],
        ['label-b', 'sel-2'],
      ] as const)
        await send({ method: 'POST', path: CONFIG_MAPS, body: labelled(name, value) })
      for (const selector of [
        'set=sel-1',
        'set in (sel-1,sel-2)',
        'set!=sel-1,set in (sel-1,sel-2)',
        'set=sel-1,!other',
        'set in sel',
        '==',
      ])
        await send({ path: `${CONFIG_MAPS}?labelSelector=${encodeURIComponent(selector)}` })
    },
  },
  {
    name: 'field selectors',
    run: async ({ send }) => {
      await send({ method: 'POST', path: CONFIG_MAPS, body: configMap('by-field') })
      for (const selector of ['metadata.name=by-field', 'metadata.name=by-field,metadata.namespace=other', 'data.a=b'])
        await send({ path: `${CONFIG_MAPS}?fieldSelector=${encodeURIComponent(selector)}` })
      await send({ path: `${PODS}?fieldSelector=spec.nodeName%3Dnowhere` })
    },
  },
  {
    name: 'pages',
    run: async ({ send }) => {
      for (const name of ['page-a', 'page-b', 'page-c'])
        await send({ method: 'POST', path: CONFIG_MAPS, body: labelled(name, 'pages') })
      const path = `${CONFIG_MAPS}?labelSelector=set%3Dpages&limit=2`
      const first = await send({ path })
      const token = encodeURIComponent(textAt(first.body, 'metadata', 'continue'))
      await send({ path: `${path}&continue=${token}` })
      await send({ path: `${path}&continue=nonsense` })
    },
  },
  {
    name: 'versions of lists',
    run: async ({ send }) => {
      const path = `${CONFIG_MAPS}?labelSelector=set%3Dnone`
      await send({ path: `${path}&resourceVersion=0` })
      await send({ path: `${path}&resourceVersion=1&resourceVersionMatch=NotOlderThan` })
      await send({ path: `${path}&resourceVersionMatch=Exact` })
      await send({ path: `${path}&resourceVersion=word` })
    },
  },
  {
    name: 'what has been forgotten',
    run: async ({ ask, send, watch, forget }) => {
      for (const name of ['forgotten-a', 'forgotten-b', 'forgotten-c'])
        await ask({ method: 'POST', path: CONFIG_MAPS, body: labelled(name, 'forgotten') })
      const path = `${CONFIG_MAPS}?labelSelector=set%3Dforgotten`
      const { body: first } = await send({ path: `${path}&limit=2` })
      await ask({ method: 'DELETE', path: `${CONFIG_MAPS}/forgotten-c` })
      await ask({ method: 'POST', path: CONFIG_MAPS, body: labelled('forgotten-d', 'forgotten') })
      await forget()
      const token = encodeURIComponent(textAt(first, 'metadata', 'continue'))
      const { body: expired } = await send({ path: `${path}&limit=2&continue=${token}` })
      const another = encodeURIComponent(textAt(expired, 'metadata', 'continue'))
      await send({ path: `${path}&limit=2&continue=${another}` })
      const version = textAt(first, 'metadata', 'resourceVersion')
      await send({ path: `${path}&resourceVersion=${version}&resourceVersionMatch=Exact` })
      await watch(`${RAFT_CLUSTERS}?watch=1&resourceVersion=1`, 1)
    },
  },
  {
    name: 'tables and metadata',
    run: async ({ send }) => {
      const labels = { set: 'table' }
      await send({ method: 'POST', path: RAFT_CLUSTERS, body: raftCluster('tabled', {}, { labels }) })
      await send({ method: 'POST', path: PODS, body: pod('tabled', { labels }) })
      await send({ method: 'POST', path: CONFIG_MAPS, body: labelled('tabled', 'table') })
      for (const collection of [RAFT_CLUSTERS, PODS, CONFIG_MAPS])
        await send({ path: `${collection}?labelSelector=set%3Dtable`, accept: TABLE })
      await send({ path: `${RAFT_CLUSTERS}?labelSelector=set%3Dtable`, accept: METADATA })
    },
  },
  {
    name: 'a watch tells what happens after a version',
    run: async ({ send, watch }) => {
      const { body } = await send({ path: `${CONFIG_MAPS}?labelSelector=set%3Dwatched` })
      const version = textAt(body, 'metadata', 'resourceVersion')
      await send({ method: 'POST', path: CONFIG_MAPS, body: labelled('watched', 'watched') })
      const path = `${CONFIG_MAPS}/watched`
      await send({ method: 'PATCH', path, body: { data: { a: '1' } }, contentType: MERGE })
      await send({ method: 'PATCH', path, body: { metadata: { labels: { set: 'left' } } }, contentType: MERGE })
      await send({ method: 'PATCH', path, body: { metadata: { labels: { set: 'watched' } } }, contentType: MERGE })
      await send({ method: 'DELETE', path })
      await watch(`${CONFIG_MAPS}?watch=1&labelSelector=set%3Dwatched&resourceVersion=${version}`, 5)
    },
  },
  {
    name: 'a watch of RaftClusters, from what there is',
    run: async ({ send, watch }) => {
      const labels = { set: 'streamed' }
      await send({ method: 'POST', path: RAFT_CLUSTERS, body: raftCluster('streamed', {}, { labels }) })
      const query = 'watch=1&labelSelector=set%3Dstreamed'
      await watch(`${RAFT_CLUSTERS}?${query}`, 1)
      await watch(
        `${RAFT_CLUSTERS}?${query}&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true`,
        2,
      )
      await watch(`${RAFT_CLUSTERS}?${query}&sendInitialEvents=true`, 1)
    },
  },
]
