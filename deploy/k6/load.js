// Load on drover's database: users of 20 tenants, each with a connection of its own,
// one transaction after the other with a pause between. Made for the k6 of ./sql,
// whose module has transactions. It is UNPROVEN on the public xk6-sql, and does
// not run there as it stands.
//
//   psql -f deploy/k6/seed.sql …
//   DATABASE_URL=postgres://app_rw:…@127.0.0.1:6432/drover bin/k6 run deploy/k6/load.js
//
// `make loadtest` does all of it. The environment says what differs:
//
//   DATABASE_URL   where; keep it out of the arguments, which everybody on the machine can read
//   ISOLATION      rls (default): row security finds the tenant's rows. where: the tenant is set too, but
//                  the statements name it. none: they name it, and nothing is set. Only rls is for tables with row security
//   QUICK          1: 10 s instead of 100
//   P99_MS         the threshold, 10 by default
//   OUT            how the names of the summary begin, "loadtest" by default
import exec from 'k6/execution';
import { Counter, Rate, Trend } from 'k6/metrics';
import { sleep } from 'k6';
import { connect } from 'k6/x/drover-sql';
import { plot, text } from './summary.js';

const P99_MS = Number(__ENV.P99_MS || 10);
const SUCCESS = 0.999;
const THINK_MS = [50, 150];
const STEADY_USERS = 100;
const SPIKE_USERS = 200;
const TENANTS = 20;
const MEMBERS = 1000;
const FIRST_GUILD = 1000001;
const ISOLATION = __ENV.ISOLATION || 'rls';
const OUT = __ENV.OUT || 'loadtest';

if (!['rls', 'where', 'none'].includes(ISOLATION)) {
  throw new Error(`ISOLATION is ${ISOLATION}: use rls, where or none`);
}

// What a run consists of: seconds, users at the end of them, and what it is called.
const stages = (__ENV.QUICK === '1'
  ? [[2.5, STEADY_USERS, 'ramp'], [4, STEADY_USERS, 'steady'], [0.5, SPIKE_USERS, 'spike'], [2, SPIKE_USERS, 'spike'], [1, 0, 'end']]
  : [[20, STEADY_USERS, 'ramp'], [45, STEADY_USERS, 'steady'], [2, SPIKE_USERS, 'spike'], [20, SPIKE_USERS, 'spike'], [8, STEADY_USERS, 'after'], [5, 0, 'end']]
).map(([seconds, users, phase]) => ({ seconds, users, phase }));
const seconds = stages.reduce((sum, s) => sum + s.seconds, 0);
const slice = seconds / 25; // seconds, of the plot

// k6 tells a summary only totals. A threshold without a condition makes it count apart what has a tag.
const counted = {};
for (let at = 0; at < seconds / slice; at++) {
  counted[`transaction{at:${at}}`] = [];
}
for (const phase of new Set(stages.map((s) => s.phase))) {
  counted[`transaction{phase:${phase}}`] = [];
}
for (const kind of ['profile', 'top', 'rules', 'rank', 'badge']) {
  counted[`transaction{kind:${kind}}`] = [];
}

export const options = {
  scenarios: {
    tenants: {
      executor: 'ramping-vus',
      startVUs: 0,
      stages: stages.map((s) => ({ duration: `${s.seconds * 1000}ms`, target: s.users })),
      gracefulRampDown: '10s',
      gracefulStop: '10s',
    },
  },
  thresholds: {
    transaction: [`p(99)<${P99_MS}`],
    success: [`rate>${SUCCESS}`],
    wrong_rows: ['count==0'],
    ...counted,
  },
  summaryTrendStats: ['count', 'avg', 'min', 'med', 'p(90)', 'p(99)', 'max'],
};

// Milliseconds. Connecting and the first transaction of each user stand apart.
const transaction = new Trend('transaction', true);
const connecting = new Trend('connecting', true);
const warmUp = new Trend('warm_up', true);
const success = new Rate('success');
const wrongRows = new Counter('wrong_rows'); // another tenant's, too many or too few
const errors = new Counter('errors');

// $1 is the tenant in each statement. With rls it finds nothing, and row security does: the condition is always true.
const own = ISOLATION === 'rls' ? '$1::uuid IS NOT NULL' : 'p.community_id = $1::uuid';

const work = {
  profile: {
    weight: 60, rows: 1,
    sql: `SELECT p.community_id::text AS tenant, p.user_id, p.nick, p.tier, p.current_rank, p.roles FROM profiles p WHERE ${own} AND p.user_id = $2::bigint`,
    args: () => [member()],
  },
  top: {
    weight: 20, rows: 10,
    sql: `SELECT p.community_id::text AS tenant, p.user_id, p.current_rank FROM profiles p WHERE ${own} ORDER BY p.current_rank LIMIT 10`,
    args: () => [],
  },
  rules: {
    weight: 10, rows: 3,
    sql: `SELECT p.community_id::text AS tenant, p.id::text, p.rule_type, p.parameters FROM eligibility_rules p WHERE ${own} AND p.enabled ORDER BY p.priority DESC`,
    args: () => [],
  },
  rank: {
    weight: 5, rows: 1,
    sql: `UPDATE profiles p SET current_rank = $3::int WHERE ${own} AND p.user_id = $2::bigint RETURNING p.community_id::text AS tenant, p.user_id`,
    args: () => [member(), 1 + Math.floor(Math.random() * MEMBERS)],
  },
  badge: {
    weight: 5, rows: 1,
    sql: `INSERT INTO badges (community_id, profile_id, badge) SELECT p.community_id, p.id, $3::text FROM profiles p WHERE ${own} AND p.user_id = $2::bigint
      ON CONFLICT (community_id, profile_id, badge) DO UPDATE SET awarded_at = now() RETURNING community_id::text AS tenant`,
    args: () => [member(), 'seen'],
  },
};

// setup learns the tenants' ids, and that there is something to read.
export function setup() {
  const db = connect(__ENV.DATABASE_URL);
  try {
    const tenants = db.transaction('', `SELECT app_community_id(g)::text AS id FROM generate_series($1::bigint, $2::bigint) g`,
      FIRST_GUILD, FIRST_GUILD + TENANTS - 1).rows.map((row) => row.id);
    const found = db.transaction(tenants[0], 'SELECT count(*) AS n FROM profiles p WHERE p.community_id = $1::uuid', tenants[0]).rows[0].n;
    if (found !== MEMBERS) {
      exec.test.abort(`the first tenant has ${found} members instead of ${MEMBERS}: run deploy/k6/seed.sql, and connect as app_rw`);
    }
    return tenants;
  } finally {
    db.close();
  }
}

let db; // this user's

export default function (tenants) {
  if (db === undefined || db.lost()) {
    if (!open(tenants)) {
      sleep(1);
      return;
    }
  }
  const kind = pick();
  const now = exec.instance.currentTestRunDuration / 1000;
  const tags = { kind, phase: phase(now), at: String(Math.floor(now / slice)) };
  const ms = one(tenants, kind);
  if (ms !== undefined) {
    transaction.add(ms, tags);
  }
  sleep((THINK_MS[0] + Math.random() * (THINK_MS[1] - THINK_MS[0])) / 1000);
}

// open connects and warms up: the first transaction on a connection pays for caches.
function open(tenants) {
  try {
    db = connect(__ENV.DATABASE_URL);
  } catch (e) {
    failed(e);
    return false;
  }
  connecting.add(db.ms);
  const ms = one(tenants, 'profile');
  if (ms !== undefined) {
    warmUp.add(ms);
  }
  return ms !== undefined;
}

// one runs a transaction of a tenant by chance, and returns its milliseconds if it succeeded.
function one(tenants, kind) {
  const tenant = tenants[Math.floor(Math.random() * tenants.length)];
  const { sql, args, rows } = work[kind];
  let found;
  try {
    found = db.transaction(ISOLATION === 'none' ? '' : tenant, sql, tenant, ...args());
  } catch (e) {
    failed(e);
    return undefined;
  }
  const right = found.rows.length === rows && found.all('tenant', tenant);
  if (!right) {
    wrongRows.add(1);
  }
  success.add(right);
  return right ? found.ms : undefined;
}

function failed(e) {
  success.add(false);
  errors.add(1);
  if (exec.vu.iterationInScenario < 3) { // the first ones say what is wrong
    console.error(String(e));
  }
}

function member() {
  return 1 + Math.floor(Math.random() * MEMBERS);
}

function pick() {
  let n = Math.random() * 100;
  for (const kind in work) {
    n -= work[kind].weight;
    if (n < 0) {
      return kind;
    }
  }
  return 'profile';
}

function phase(now) {
  for (const s of stages) {
    now -= s.seconds;
    if (now < 0) {
      return s.phase;
    }
  }
  return 'end';
}

export function handleSummary(data) {
  return {
    stdout: text(data),
    [`${OUT}.json`]: JSON.stringify(data),
    [`${OUT}.txt`]: text(data),
    [`${OUT}.svg`]: plot(data, { stages, slice, limit: P99_MS }),
  };
}
