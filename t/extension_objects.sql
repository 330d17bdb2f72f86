-- Lines that tell what the extension has made in this database: its objects, their definitions, privileges, comments, and what
-- depends on what.  The same in each database with the same version of it, however it has come to that.
SET search_path = pg_catalog;
CREATE TEMPORARY TABLE object AS
WITH RECURSIVE object AS (
	SELECT d.classid, d.objid FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
	WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'nvmkv_fdw'
	UNION
	SELECT d.classid, d.objid FROM object AS o JOIN pg_depend AS d ON d.refclassid = o.classid AND d.refobjid = o.objid
	WHERE d.deptype IN ('a', 'i'))
SELECT classid, objid, regexp_replace(pg_describe_object(classid, objid, 0), 'pg_toast_\d+', 'pg_toast_N') AS name FROM object;
CREATE FUNCTION pg_temp.privileges(acl aclitem[]) RETURNS text LANGUAGE sql
AS 'SELECT string_agg(a::text, '' '' ORDER BY a::text) FROM unnest(acl) AS a';
SELECT line FROM (
	SELECT name FROM object
	UNION ALL
	SELECT format('%s depends (%s) on %s', o.name, d.deptype, regexp_replace(pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid), 'pg_toast_\d+', 'pg_toast_N'))
	FROM object AS o JOIN pg_depend AS d ON d.classid = o.classid AND d.objid = o.objid
	UNION ALL
	SELECT format('%s is initially for %s (%s)', o.name, pg_temp.privileges(p.initprivs), p.objsubid)
	FROM object AS o JOIN pg_init_privs AS p ON p.classoid = o.classid AND p.objoid = o.objid
	UNION ALL
	SELECT format('%s: %s', o.name, d.description) FROM object AS o JOIN pg_description AS d ON d.classoid = o.classid AND d.objoid = o.objid
	UNION ALL
	SELECT format('%s %s %s', o.name, pg_temp.privileges(p.proacl), pg_get_functiondef(p.oid))
	FROM object AS o JOIN pg_proc AS p ON p.oid = o.objid WHERE o.classid = 'pg_proc'::regclass
	UNION ALL
	SELECT format('%s %s %s %s %s %s %s', o.name, c.relkind, c.relpersistence, c.relispopulated, c.reloptions, pg_temp.privileges(c.relacl),
				  (SELECT amname FROM pg_am WHERE oid = c.relam))
	FROM object AS o JOIN pg_class AS c ON c.oid = o.objid WHERE o.classid = 'pg_class'::regclass
	UNION ALL
	SELECT format('%s %s %s %s %s %s %s', o.name, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attcollation::regcollation,
				  pg_temp.privileges(a.attacl))
	FROM object AS o JOIN pg_attribute AS a ON a.attrelid = o.objid WHERE o.classid = 'pg_class'::regclass
	UNION ALL
	SELECT format('%s %s', o.name, pg_get_viewdef(c.oid))
	FROM object AS o JOIN pg_class AS c ON c.oid = o.objid WHERE o.classid = 'pg_class'::regclass AND c.relkind IN ('v', 'm')
	UNION ALL
	SELECT format('%s %s', o.name, pg_get_indexdef(i.indexrelid))
	FROM object AS o JOIN pg_index AS i ON i.indexrelid = o.objid WHERE o.classid = 'pg_class'::regclass AND o.name NOT LIKE '%toast%'
	UNION ALL
	SELECT format('%s %s', o.name, pg_temp.privileges(n.nspacl))
	FROM object AS o JOIN pg_namespace AS n ON n.oid = o.objid WHERE o.classid = 'pg_namespace'::regclass
	UNION ALL
	SELECT format('%s %s %s', o.name, a.amtype, a.amhandler) FROM object AS o JOIN pg_am AS a ON a.oid = o.objid WHERE o.classid = 'pg_am'::regclass
	UNION ALL
	SELECT format('%s %s %s %s %s', o.name, f.fdwhandler::regproc, f.fdwvalidator::regproc, f.fdwoptions, pg_temp.privileges(f.fdwacl))
	FROM object AS o JOIN pg_foreign_data_wrapper AS f ON f.oid = o.objid WHERE o.classid = 'pg_foreign_data_wrapper'::regclass
	UNION ALL
	SELECT format('%s %s %s', o.name, s.srvoptions, pg_temp.privileges(s.srvacl))
	FROM object AS o JOIN pg_foreign_server AS s ON s.oid = o.objid WHERE o.classid = 'pg_foreign_server'::regclass
	UNION ALL
	SELECT format('%s %s %s %s %s', o.name, t.evtevent, t.evtenabled, t.evttags, t.evtfoid::regproc)
	FROM object AS o JOIN pg_event_trigger AS t ON t.oid = o.objid WHERE o.classid = 'pg_event_trigger'::regclass
) AS lines (line) ORDER BY line COLLATE "C";
