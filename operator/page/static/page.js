/**
 * Shows what the operator tells: all clusters at first, then what changes (../view.ts has the shapes). One of them is shown whole,
 * the one that the address names after its #.
 */
import { element } from './element.js'
import { graph } from './graph.js'
import { ageText, numberText, rateOf, sizeText } from './text.js'

const RETRY_MS = 10_000
/** Fewer clusters need no filter. */
const FILTER_FROM = 8

const at = (id) => document.getElementById(id)
const keyOf = ({ namespace, name }) => `${namespace}/${name}`

const clusters = new Map()
let history
/** Of the operator's clock to this one. */
let offsetMs = 0
const nowMs = () => Date.now() + offsetMs

// The choice

function chosenKey() {
  const [, namespace, name] = /^#\/([^/]+)\/([^/]+)$/.exec(location.hash) ?? []
  const key = namespace && `${decodeURIComponent(namespace)}/${decodeURIComponent(name)}`
  if (clusters.has(key)) return key
  const isWide = matchMedia('(min-width: 48rem)').matches
  return isWide || clusters.size === 1 ? sorted()[0] : undefined
}

const addressOf = ({ namespace, name }) => `#/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`
const inOrder = (a, b) => (a < b ? -1 : 1)
const sorted = () => [...clusters.keys()].toSorted(inOrder)

// The list

function showList() {
  const key = chosenKey()
  const words = at('filter').value.trim().toLowerCase()
  const rows = sorted()
    .filter((one) => one.toLowerCase().includes(words))
    .map((one) => row(clusters.get(one), one === key))
  at('filter').hidden = clusters.size < FILTER_FROM
  const empty = clusters.size === 0 ? 'There is no RaftCluster.' : 'None has that in its name.'
  replace(at('clusters'), ...(rows.length > 0 ? rows : [element('li', { class: 'empty' }, empty)]))
}

function row(cluster, isChosen) {
  const link = element(
    'a',
    { href: addressOf(cluster), class: cluster.health, 'aria-current': isChosen ? 'page' : undefined },
    element('span', { class: 'name' }, element('small', {}, `${cluster.namespace}/`), cluster.name),
    element('span', { class: 'state' }, cluster.state),
  )
  return element('li', {}, link)
}

/** Leaves the focus where it was, by its place in the list. */
function replace(parent, ...children) {
  const focused = [...parent.querySelectorAll('a')]
    .find((link) => link === document.activeElement)
    ?.getAttribute('href')
  parent.replaceChildren(...children)
  if (focused !== undefined) [...parent.querySelectorAll('a')].find((link) => link.getAttribute('href') === focused)?.focus() // prettier-ignore
}

function move(by) {
  const keys = sorted()
  const to = clusters.get(keys[keys.indexOf(chosenKey()) + by])
  if (to === undefined) return
  location.hash = addressOf(to)
  at('clusters').querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest' })
}

// One cluster

/** Parts of the page, by name: each is made again only when what it shows is something else. */
const shown = new Map()

function part(name, data, make) {
  const text = JSON.stringify(data)
  const before = shown.get(name)
  if (before !== undefined && before.text === text) return before.node
  const node = make(data)
  shown.set(name, { text, node })
  return node
}

function showCluster() {
  const key = chosenKey()
  document.body.classList.toggle('chosen', key !== undefined)
  const main = at('cluster')
  const cluster = clusters.get(key)
  document.title = cluster === undefined ? 'RaftClusters' : `${cluster.name}: ${cluster.state}`
  if (cluster === undefined) return main.replaceChildren()
  const { namespace, name, lookedAtMs, operation, members, conditions, events } = cluster
  const { health, state } = cluster
  // What is under way says the same further down.
  const why = operation?.why === cluster.why ? '' : cluster.why
  const parts = [
    part(
      'back',
      clusters.size > 1,
      (isNeeded) => isNeeded && element('a', { href: '#', class: 'back' }, 'All clusters'),
    ),
    part('title', { namespace, name, health, state, why }, title),
    part('looked', lookedAtMs, looked),
    part('figures', figuresOf(cluster), figures),
    part('operation', operation, inFlight),
    part('members', { members, leader: cluster.leader }, memberTable),
    graphs,
    part('events', events, eventList),
    part('conditions', conditions, conditionTable),
  ].filter(Boolean)
  if (parts.length !== main.children.length || parts.some((one, i) => main.children[i] !== one))
    main.replaceChildren(...parts)
  showAges()
}

function title({ namespace, name, health, state, why }) {
  return element(
    'div',
    { class: `title ${health}` },
    element('h2', {}, element('small', {}, `${namespace}/`), name),
    element('p', { class: 'state' }, state),
    why === '' ? undefined : element('p', { class: 'why' }, why),
  )
}

function looked(atMs) {
  return atMs && element('p', { class: 'looked' }, 'Looked at ', ago(atMs), ' ago')
}

function figuresOf({ readyReplicas, replicas, voters, quorum, leader, term, commitIndex, image, clusterID }) {
  const ready = replicas === undefined ? String(readyReplicas) : `${readyReplicas} of ${replicas}`
  return [
    ['Ready', ready],
    ['Voters', `${voters}, quorum ${quorum}`],
    ['Leader', leader || 'none'],
    ['Term', numberText(term)],
    ['Commit index', numberText(commitIndex)],
    ['Image', image || '–'],
    ['Cluster ID', clusterID || 'not formed yet'],
  ]
}

function figures(pairs) {
  const cells = pairs.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value)))
  return element('dl', { class: 'figures' }, ...cells)
}

function inFlight(operation) {
  if (operation === undefined) return undefined
  const { title, steps, startedAt, deadline, attempts, why } = operation
  const list = steps.map(({ title, state }) =>
    element('li', { class: state, 'aria-current': state === 'now' ? 'step' : undefined }, title),
  )
  const remarks = [
    element('span', {}, 'for ', ago(Date.parse(startedAt))),
    deadline && element('span', {}, 'until ', clockTime(Date.parse(deadline))),
    attempts > 0 ? element('span', {}, `${attempts} calls refused or not answered`) : undefined,
  ].filter(Boolean)
  return section(
    'Under way',
    element('p', { class: 'what' }, element('strong', {}, title), ...remarks),
    element('ol', { class: 'steps' }, ...list),
    why === '' ? undefined : element('p', { class: 'why' }, why),
  )
}

const MEMBER_COLUMNS = [
  ['Member', ({ name }) => name],
  ['Role', ({ role, isReady }) => (isReady ? role : `${role}, not ready`)],
  ['Term', ({ term }) => counted(term), 'number'],
  ['Commit', ({ commitIndex }) => counted(commitIndex), 'number'],
  ['Lag', ({ lag }) => counted(lag), 'number'],
  ['Data', ({ sizeBytes }) => (sizeBytes === undefined ? '–' : sizeText(sizeBytes)), 'number'],
  ['Volume', ({ capacity }) => capacity ?? '–', 'number'],
  ['Version', ({ version }) => version ?? '–', 'number'],
]

const counted = (value) => (value === undefined ? '–' : numberText(value))

function memberTable({ members, leader }) {
  if (members.length === 0) return section('Members', element('p', { class: 'empty' }, 'No member is known yet.'))
  const rows = members.flatMap((member) => {
    const cells = MEMBER_COLUMNS.map(([label, text, kind], i) =>
      element(
        i === 0 ? 'th' : 'td',
        { class: kind, 'data-label': label, scope: i === 0 ? 'row' : undefined },
        text(member),
      ),
    )
    const kind = `${member.name === leader ? 'leader ' : ''}${member.isReady ? '' : 'unready'}`
    const remark = element('td', { colspan: MEMBER_COLUMNS.length }, member.remark)
    return [
      element('tr', { class: kind }, ...cells),
      ...(member.remark === '' ? [] : [element('tr', { class: 'remark' }, remark)]),
    ]
  })
  return section(
    'Members',
    table(
      MEMBER_COLUMNS.map(([label, , kind]) => [label, kind]),
      rows,
      'members',
    ),
  )
}

function table(columns, rows, kind) {
  const head = columns.map(([label, kind]) => element('th', { scope: 'col', class: kind }, label))
  return element(
    'table',
    { class: kind },
    element('thead', {}, element('tr', {}, ...head)),
    element('tbody', {}, ...rows),
  )
}

function eventList(events) {
  if (events.length === 0) return undefined
  const rows = events.map(({ type, reason, message, count, atMs }) =>
    element(
      'li',
      { class: type === 'Warning' ? 'warning' : undefined },
      ago(atMs),
      element(
        'div',
        {},
        element('strong', {}, reason),
        ` ${beyond(reason, message)}`,
        count > 1 ? ` (${count} times)` : '',
      ),
    ),
  )
  return section('Recent events', element('ol', { class: 'events' }, ...rows))
}

/** What a message says that its reason does not. */
function beyond(reason, message) {
  if (message === reason) return ''
  return message.startsWith(`${reason}: `) ? message.slice(reason.length + 2) : message
}

const GOOD_WHEN_FALSE = new Set(['Degraded', 'QuorumLost', 'ClusterIDMismatch', 'Paused', 'Progressing'])

function conditionTable(conditions) {
  if (conditions.length === 0) return undefined
  const rows = conditions.map(({ type, status, reason, message, since }) => {
    const isGood = status === (GOOD_WHEN_FALSE.has(type) ? 'False' : 'True') || reason === 'Disabled'
    return element(
      'tr',
      { class: isGood ? undefined : 'odd' },
      element('th', { scope: 'row' }, type),
      element('td', {}, status),
      element('td', { class: 'number' }, ago(Date.parse(since))),
      element(
        'td',
        { class: 'long' },
        message === '' || message === reason ? reason : `${reason}: ${beyond(reason, message)}`,
      ),
    )
  })
  return section('Conditions', table([['Condition'], ['Status'], ['Since', 'number'], ['Why']], rows, 'conditions'))
}

function section(name, ...children) {
  return element('section', {}, element('h3', {}, name), ...children)
}

// Times

function ago(atMs) {
  return element('time', {
    datetime: new Date(atMs).toISOString(),
    title: new Date(atMs).toLocaleString(),
    'data-at': atMs,
  })
}

function clockTime(atMs) {
  return element(
    'time',
    { datetime: new Date(atMs).toISOString() },
    new Date(atMs).toLocaleTimeString([], { hour12: false }),
  )
}

function showAges() {
  for (const time of document.querySelectorAll('time[data-at]')) {
    const text = ageText(nowMs() - Number(time.dataset.at))
    if (time.textContent !== text) time.textContent = text
  }
}

// Graphs

const rate = element('p', { class: 'rate' })
const drawing = element('div', { class: 'drawing' })
const graphs = section('Commit index and leader', rate, drawing)

function showGraphs() {
  const cluster = clusters.get(history?.key)
  const isKnown = cluster !== undefined && history.points.length > 0
  graphs.hidden = !isKnown
  if (!isKnown || drawing.clientWidth === 0) return
  const members = [...new Set([...cluster.members.map(({ name }) => name), ...history.leaders])].filter(
    (name) => name !== '',
  )
  drawing.replaceChildren(graph(history, members, nowMs(), drawing.clientWidth))
  const perSecond = rateOf(history.points)
  rate.textContent = perSecond === undefined ? '' : `${perSecond < 10 ? perSecond.toFixed(1) : numberText(Math.round(perSecond))} entries a second over the last minute` // prettier-ignore
}

new ResizeObserver(showGraphs).observe(drawing)

async function fetchHistory() {
  const key = chosenKey()
  if (key === undefined) return
  const { namespace, name } = clusters.get(key)
  const answer = await fetch(`history/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}.json`).catch(
    () => undefined,
  )
  if (key !== chosenKey()) return
  history = answer?.ok ? { key, ...(await answer.json()) } : { key, leaders: [], points: [] }
  showGraphs()
}

/** The operator keeps points in the same way; what this page has beyond it is gone when it is loaded again. */
function remember({ lookedAtMs, commitIndex, term, leader, clusterID }) {
  const last = history.points.at(-1)
  if (lookedAtMs === undefined || clusterID === '' || lookedAtMs <= (last?.[0] ?? 0)) return
  if (!history.leaders.includes(leader)) history.leaders.push(leader)
  const which = history.leaders.indexOf(leader)
  if (last?.[3] === which && last[2] === term && lookedAtMs - last[0] < 5000) return
  history.points.push([lookedAtMs, commitIndex, term, which])
  while (lookedAtMs - history.points[0][0] > 1_800_000) history.points.shift()
}

// What the operator tells

function take({ nowMs: theirs, version, elsewhere, clusters: news, gone = [] }) {
  offsetMs = theirs - Date.now()
  const before = chosenKey()
  for (const key of gone) clusters.delete(key)
  for (const cluster of news) clusters.set(keyOf(cluster), cluster)
  at('notice').hidden = elsewhere === undefined
  if (elsewhere !== undefined)
    at('notice').textContent = elsewhere === '' ? 'This copy of the operator stands by, and none is known to work.' : `This copy of the operator stands by. ${elsewhere} works: forward a port to that pod to see its clusters.` // prettier-ignore
  connection.version = version
  show()
  if (chosenKey() !== before || history?.key !== chosenKey()) void fetchHistory()
  else if (history !== undefined) {
    remember(clusters.get(history.key))
    showGraphs()
  }
}

function show() {
  showList()
  showCluster()
  showConnection()
}

const connection = { state: 'Connecting …', version: '', isLive: false }

function showConnection() {
  const { state, version } = connection
  const count = clusters.size
  const counts = count === 0 ? '' : ` · ${count} ${count === 1 ? 'cluster' : 'clusters'}`
  at('connection').textContent = `${state}${counts}${version === '' ? '' : ` · operator ${version}`}`
  at('connection').classList.toggle('lost', !connection.isLive)
}

function connected(state, isLive) {
  connection.state = state
  connection.isLive = isLive
  showConnection()
}

function follow() {
  const events = new EventSource('events')
  events.addEventListener('open', () => connected('Live', true))
  events.addEventListener('everything', ({ data }) => {
    clusters.clear()
    history = undefined
    take(JSON.parse(data))
  })
  events.addEventListener('changes', ({ data }) => take(JSON.parse(data)))
  events.addEventListener('error', () => {
    if (events.readyState !== EventSource.CLOSED) return connected('Connection lost, trying again', false)
    events.close()
    void ask()
  })
}

/** There are too many viewers to be told: what there is now, and a new attempt. */
async function ask() {
  const answer = await fetch('clusters.json').catch(() => undefined)
  connected(answer?.ok ? 'Asked every 10 s: too many look at it' : 'Connection lost, trying again', false)
  if (answer?.ok) {
    clusters.clear()
    take(await answer.json())
  }
  setTimeout(follow, RETRY_MS)
}

// The person

addEventListener('hashchange', () => {
  show()
  void fetchHistory()
})
at('filter').addEventListener('input', showList)
addEventListener('keydown', (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey) return
  if (event.target === at('filter')) {
    if (event.key === 'Escape') {
      at('filter').value = ''
      at('filter').blur()
      showList()
    }
    return
  }
  const keys = {
    j: () => move(1),
    k: () => move(-1),
    '/': () => at('filter').focus(),
    Escape: () => (location.hash = ''),
  }
  const act = keys[event.key]
  if (act === undefined || (event.key === '/' && at('filter').hidden)) return
  event.preventDefault()
  act()
})
setInterval(showAges, 1000)
follow()
