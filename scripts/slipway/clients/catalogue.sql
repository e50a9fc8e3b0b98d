-- What a database is made of: a name that says the kind of each object, and its definition.
-- Takes %(tables)s and %(schemas)s: names that are left out, with what belongs to them.
-- Rights are written out in full and sorted: what was granted and revoked again is as before.
with
own as (
  select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relname = any(%(tables)s) or n.nspname = any(%(schemas)s)
),
left_out as (
  select objid as oid from pg_depend where deptype = 'e'
  union select oid from pg_trigger where tgisinternal
  union select oid from own
  union select indexrelid from pg_index where indrelid in (select oid from own)
  union select oid from pg_constraint where conrelid in (select oid from own)
  union select oid from pg_attrdef where adrelid in (select oid from own)
  union select oid from pg_trigger where tgrelid in (select oid from own)
  union select t.oid from pg_type t
    where t.typrelid in (select oid from own)
    or t.typelem in (select oid from pg_type where typrelid in (select oid from own))
  union select objid from pg_depend where deptype in ('a', 'i') and classid = 'pg_class'::regclass
    and refclassid = 'pg_class'::regclass and refobjid in (select oid from own)
  union select oid from pg_namespace where nspname = any(%(schemas)s)
  union select oid from pg_proc where pronamespace in
    (select oid from pg_namespace where nspname = any(%(schemas)s))
),
named as (
  select oid, quote_ident(nspname) as nsp from pg_namespace
  where nspname !~ '^pg_' and nspname <> 'information_schema'
),
rel as (
  select c.*, n.nsp || '.' || quote_ident(c.relname) as full_name from pg_class c
  join named n on n.oid = c.relnamespace where c.oid not in (select oid from left_out)
),
every as (
  select 'pg_class'::regclass as class, oid from pg_class
  union all select 'pg_type'::regclass, oid from pg_type
  union all select 'pg_proc'::regclass, oid from pg_proc
  union all select 'pg_constraint'::regclass, oid from pg_constraint
  union all select 'pg_trigger'::regclass, oid from pg_trigger
  union all select 'pg_rewrite'::regclass, oid from pg_rewrite
  union all select 'pg_policy'::regclass, oid from pg_policy
  union all select 'pg_namespace'::regclass, oid from pg_namespace
  union all select 'pg_extension'::regclass, oid from pg_extension
  union all select 'pg_event_trigger'::regclass, oid from pg_event_trigger
  union all select 'pg_publication'::regclass, oid from pg_publication
  union all select 'pg_publication_rel'::regclass, oid from pg_publication_rel
  union all select 'pg_cast'::regclass, oid from pg_cast
  union all select 'pg_operator'::regclass, oid from pg_operator
  union all select 'pg_opclass'::regclass, oid from pg_opclass
  union all select 'pg_opfamily'::regclass, oid from pg_opfamily
  union all select 'pg_conversion'::regclass, oid from pg_conversion
  union all select 'pg_collation'::regclass, oid from pg_collation
  union all select 'pg_ts_config'::regclass, oid from pg_ts_config
  union all select 'pg_ts_dict'::regclass, oid from pg_ts_dict
  union all select 'pg_ts_parser'::regclass, oid from pg_ts_parser
  union all select 'pg_ts_template'::regclass, oid from pg_ts_template
  union all select 'pg_statistic_ext'::regclass, oid from pg_statistic_ext
  union all select 'pg_foreign_data_wrapper'::regclass, oid from pg_foreign_data_wrapper
  union all select 'pg_foreign_server'::regclass, oid from pg_foreign_server
  union all select 'pg_language'::regclass, oid from pg_language
  union all select 'pg_am'::regclass, oid from pg_am
  union all select 'pg_transform'::regclass, oid from pg_transform
  union all select 'pg_attrdef'::regclass, oid from pg_attrdef
  union all select 'pg_default_acl'::regclass, oid from pg_default_acl
)
select 'object ' || pg_describe_object(class, oid, 0) as name, '' as definition
from every where oid >= 16384 and oid not in (select oid from left_out)
and pg_describe_object(class, oid, 0) not like '%%pg_toast%%'

union all
select 'schema ' || n.nsp, (select string_agg(a::text, ',' order by a::text) from unnest(coalesce(x.nspacl, acldefault('n', x.nspowner))) a) from named n
join pg_namespace x using (oid) where x.oid not in (select oid from left_out)

union all
select 'relation ' || full_name, concat_ws(' ', relkind, relpersistence, reloptions::text,
relrowsecurity, relforcerowsecurity, relreplident, pg_get_expr(relpartbound, oid),
case when relkind = 'p' then pg_get_partkeydef(oid) end, reloftype::regtype,
(select string_agg(a::text, ',' order by a::text) from unnest(coalesce(relacl, acldefault((case when relkind = 'S' then 's' else 'r' end)::"char", relowner))) a))
from rel where relkind not in ('i', 'I', 't')

union all
select 'column ' || full_name || '.' || quote_ident(a.attname), concat_ws(' ',
'#' || row_number() over (partition by a.attrelid order by a.attnum),
format_type(a.atttypid, a.atttypmod), case when a.attnotnull then 'not null' end,
a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid), a.attstorage,
a.attcollation::regcollation, a.attoptions::text, a.attstattarget, a.attcompression,
(select string_agg(a::text, ',' order by a::text) from unnest(coalesce(a.attacl, acldefault('c', relowner))) a))
from rel join pg_attribute a on a.attrelid = rel.oid
left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
where a.attnum > 0 and not a.attisdropped and relkind not in ('i', 'I', 't', 'S')

union all
select 'inheritance ' || full_name, string_agg(i.inhparent::regclass::text, ',' order by
i.inhseqno) from rel join pg_inherits i on i.inhrelid = rel.oid group by 1

union all
select 'constraint ' || pg_describe_object('pg_constraint'::regclass, c.oid, 0),
pg_get_constraintdef(c.oid) || ' ' || c.convalidated from pg_constraint c
where c.connamespace in (select oid from named) and c.oid not in (select oid from left_out)

union all
select 'index ' || full_name, concat_ws(' ', pg_get_indexdef(rel.oid), i.indisvalid,
i.indisclustered, i.indisreplident, reloptions::text)
from rel join pg_index i on i.indexrelid = rel.oid

union all
select 'view ' || full_name, pg_get_viewdef(oid) from rel where relkind in ('v', 'm')

union all
select 'rule ' || full_name || '.' || r.rulename, concat(pg_get_ruledef(r.oid), r.ev_enabled)
from rel join pg_rewrite r on r.ev_class = rel.oid where r.rulename <> '_RETURN'

union all
select 'trigger ' || full_name || '.' || t.tgname, concat(pg_get_triggerdef(t.oid), t.tgenabled)
from rel join pg_trigger t on t.tgrelid = rel.oid where not t.tgisinternal

union all
select 'policy ' || full_name || '.' || p.polname, concat_ws(' ', p.polcmd, p.polpermissive,
(select string_agg(case r when 0 then 'public' else r::regrole::text end, ',' order by 1)
from unnest(p.polroles) r),
pg_get_expr(p.polqual, p.polrelid), '/', pg_get_expr(p.polwithcheck, p.polrelid))
from rel join pg_policy p on p.polrelid = rel.oid

union all
select 'sequence ' || full_name, concat_ws(' ', s.seqtypid::regtype, s.seqstart,
s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle,
(select string_agg(pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid), ',')
from pg_depend d where d.objid = rel.oid and d.classid = 'pg_class'::regclass
and d.deptype in ('a', 'i') and d.refclassid = 'pg_class'::regclass))
from rel join pg_sequence s on s.seqrelid = rel.oid

union all
select 'function ' || p.oid::regprocedure, concat_ws(' ',
case when p.prokind <> 'a' then pg_get_functiondef(p.oid) else
(select concat_ws(' ', aggtransfn, aggfinalfn, aggcombinefn, agginitval, aggsortop,
aggtranstype::regtype) from pg_aggregate where aggfnoid = p.oid) end, (select string_agg(a::text, ',' order by a::text) from unnest(coalesce(p.proacl, acldefault('f', p.proowner))) a))
from pg_proc p where p.pronamespace in (select oid from named)
and p.oid not in (select oid from left_out)

union all
select 'type ' || t.oid::regtype, concat_ws(' ', t.typtype, t.typbasetype::regtype,
t.typtypmod, t.typnotnull, t.typdefault, (select string_agg(a::text, ',' order by a::text) from unnest(coalesce(t.typacl, acldefault('T', t.typowner))) a),
(select string_agg(quote_literal(enumlabel), ',' order by enumsortorder) from pg_enum
where enumtypid = t.oid), (select rngsubtype::regtype from pg_range where rngtypid = t.oid))
from pg_type t where t.typnamespace in (select oid from named) and t.typtype in
('d', 'e', 'r') and t.oid not in (select oid from left_out)

union all
select 'rights ' || pg_describe_object('pg_default_acl'::regclass, oid, 0),
(select string_agg(a::text, ',' order by a::text) from unnest(defaclacl) a) from pg_default_acl where oid >= 16384

union all
select 'extension ' || extname, extversion from pg_extension

union all
select 'statistics ' || pg_describe_object('pg_statistic_ext'::regclass, s.oid, 0),
pg_get_statisticsobjdef(s.oid) from pg_statistic_ext s

union all
select 'publication ' || pubname, concat_ws(' ', puballtables, pubinsert, pubupdate,
pubdelete, pubtruncate, pubviaroot) from pg_publication

union all
select 'event trigger ' || evtname, concat_ws(' ', evtevent, evtfoid::regproc, evtenabled,
evttags::text) from pg_event_trigger

union all
select 'comment ' || pg_describe_object(classoid, objoid, objsubid), description
from pg_description where objoid >= 16384 and objoid not in (select oid from left_out)
